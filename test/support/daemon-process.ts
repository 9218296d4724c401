import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { until } from './until.ts';

export const main = join(import.meta.dirname, '../../daemon/main.ts');
// As daemon/hotconf.cjs gives them.
export const nodeFlags = [
  '--disable-sigusr1',
  '--disable-warning=ExperimentalWarning',
  '--max-semi-space-size=1',
  '--no-maglev',
];

/** One run of the `hotconf` command, from its sources. */
export class HotconfProcess {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  readonly #exit: Promise<unknown[]>;

  constructor(args: readonly string[], options: SpawnOptions & { readonly wrapper?: readonly string[] } = {}) {
    const { wrapper = [], ...spawnOptions } = options;
    const [command, ...rest] = [...wrapper, process.execPath, ...nodeFlags, main, ...args];
    this.child = spawn(command!, rest, { stdio: ['ignore', 'pipe', 'pipe'], ...spawnOptions });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.#exit = once(this.child, 'close');
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** The log, where stdout is one. */
  get log(): Record<string, unknown>[] {
    return this.stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  }

  logged(event: string): Record<string, unknown>[] {
    return this.log.filter((line) => line.event === event);
  }

  async ready(): Promise<this> {
    await until('the daemon is ready', () => !this.isRunning || this.stdout.includes('"daemon_ready"'));
    if (!this.isRunning) throw new Error(`it ended: ${this.stderr}`);
    return this;
  }

  /** The exit code, or the signal's name. */
  async ended(): Promise<number | string> {
    const [code, signal] = await this.#exit;
    return (code ?? signal) as number | string;
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<number | string> {
    if (this.isRunning) this.child.kill(signal);
    return this.ended();
  }

  get lastWords(): string {
    return this.stderr.trimEnd().split('\n').at(-1) ?? '';
  }
}

/** Runs a command to its end, which comes within a minute: nothing outlives a test that gave up. */
export async function hotconf(args: readonly string[], options: SpawnOptions = {}) {
  const run = new HotconfProcess(args, { timeout: 60_000, killSignal: 'SIGKILL', ...options });
  const code = await run.ended();
  return { code, stdout: run.stdout, stderr: run.stderr, lastWords: run.lastWords };
}

/** Ends whatever a test has started and not ended itself. */
export function useProcesses() {
  const started: HotconfProcess[] = [];
  afterEach(async () => {
    await Promise.all(started.splice(0).map((run) => run.kill()));
  });
  return (args: readonly string[], options: ConstructorParameters<typeof HotconfProcess>[1] = {}) => {
    const run = new HotconfProcess(args, options);
    started.push(run);
    return run;
  };
}
