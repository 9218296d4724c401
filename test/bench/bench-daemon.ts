import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { Scratch } from '../support/scratch.ts';
import { until } from '../support/until.ts';

/** The built daemon in a process of its own. */
export class BenchDaemon implements AsyncDisposable {
  readonly scratch = new Scratch();
  readonly #child;
  #stdout = '';

  constructor(lay: (scratch: Scratch) => void, options: Record<string, unknown>) {
    lay(this.scratch);
    this.scratch.write('schema.json', '{"type": "object"}');
    const all = {
      environment: 'production',
      schema: './schema.json',
      runtimeDir: './run',
      stateDir: './state',
      ...options,
    };
    const file = this.scratch.write('hotconf.yaml', stringify(all));
    const main = join(import.meta.dirname, '../../dist/daemon/main.js');
    // Started by its own first line, as a user does.
    this.#child = spawn(main, ['start', '--config', file], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#child.stdout.setEncoding('utf8').on('data', (text) => {
      this.#stdout += text;
    });
  }

  get socket(): string {
    return this.scratch.path('run/default.sock');
  }

  async ready(): Promise<{ readyAfterMs: number }> {
    await until('the daemon is ready', () => this.#stdout.includes('"daemon_ready"'));
    return JSON.parse(this.#stdout.split('\n').find((line) => line.includes('"daemon_ready"'))!);
  }

  /** Resident megabytes (1e6 bytes). */
  get residentMb(): number {
    return residentMb(this.#child.pid!);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill();
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
    this.scratch.remove();
  }
}

export function residentMb(pid: number): number {
  return (Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024) / 1e6;
}
