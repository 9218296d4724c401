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

  /** `flags`: of Node, in place of those that the command gives; a function of the scratch folder. */
  constructor(
    lay: (scratch: Scratch) => void,
    options: Record<string, unknown>,
    flags?: (folder: string) => readonly string[],
  ) {
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
    const root = join(import.meta.dirname, '../..');
    const command = flags
      ? [...flags(this.scratch.folder), join(root, 'dist/daemon/main.js')]
      : [join(root, 'daemon/hotconf.cjs')];
    this.#child = spawn(process.execPath, [...command, 'start', '--config', file], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
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
