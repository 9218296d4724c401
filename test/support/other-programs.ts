import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

export interface ProgramsAbout {
  readonly count?: number;
  readonly name?: string;
  /** What their `verify` does with a bad candidate. */
  readonly verify?: '' | 'hang' | 'die';
}

/** Programs in a process of their own, which can be frozen and killed. */
export class OtherPrograms {
  readonly child: ChildProcess;
  readonly #said: Record<string, unknown>[] = [];

  private constructor(child: ChildProcess) {
    this.child = child;
    child.on('message', (message) => this.#said.push(message as Record<string, unknown>));
  }

  /** Resolves when all are connected. `verify`: what theirs does. */
  static async start(
    socket: string,
    { count = 1, name = 'other', verify = '' }: ProgramsAbout = {},
  ): Promise<OtherPrograms> {
    const script = join(import.meta.dirname, '../fixtures/programs.ts');
    const child = fork(script, [socket, String(count), name, verify], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const programs = new OtherPrograms(child);
    await once(child, 'message');
    return programs;
  }

  /** The last that each has told of its settings. */
  get revisions(): readonly number[] {
    return (this.#said.at(-1)?.revisions as number[]) ?? [];
  }

  freeze(): void {
    this.child.kill('SIGSTOP');
  }

  thaw(): void {
    this.child.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exit = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await exit;
  }
}
