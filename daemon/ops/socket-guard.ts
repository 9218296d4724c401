import type { Clock } from './clock.ts';
import type { Log } from './log.ts';
import type { SocketFile } from './socket-file.ts';

export interface SocketGuardParts {
  readonly files: readonly SocketFile[];
  /** Sees to it that the folder of the sockets is there. */
  readonly prepareFolder: () => void;
  readonly clock: Clock;
  readonly log: Log;
  /** Why programs cannot connect; `undefined` when they can again. */
  readonly onProblem: (problem: string | undefined) => void;
}

const everyMs = 5_000;

/**
 * Checks every 5 s that the sockets are still in their place, and publishes again what was deleted or replaced. Whatever
 * fails is reported and tried again; it never ends the daemon.
 */
export class SocketGuard {
  readonly #parts: SocketGuardParts;
  #cancel = () => {};
  #isStopped = false;
  #told: string | undefined;

  constructor(parts: SocketGuardParts) {
    this.#parts = parts;
  }

  async start(): Promise<void> {
    this.#cancel = this.#parts.clock.after(everyMs, () => void this.#look());
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel();
  }

  async #look(): Promise<void> {
    try {
      await this.#putBackLost();
    } catch (error) {
      this.#parts.onProblem(`the sockets cannot be checked: ${(error as Error).message}`);
    } finally {
      if (!this.#isStopped) await this.start();
    }
  }

  async #putBackLost(): Promise<void> {
    const { files, log, onProblem } = this.#parts;
    const problems: string[] = [];
    for (const file of files.filter(({ isLost }) => isLost)) {
      const problem = await this.#putBack(file);
      if (problem) problems.push(problem);
      else log('error', 'socket_restored', `${file.path} was deleted or replaced; it is published again`, {});
    }
    const problem = problems.length > 0 ? problems.join('; ') : undefined;
    if (problem && problem !== this.#told)
      log('error', 'socket_lost', `a socket was deleted or replaced, and cannot be put back: ${problem}`, {});
    this.#told = problem;
    onProblem(problem);
  }

  async #putBack(file: SocketFile): Promise<string | undefined> {
    try {
      this.#parts.prepareFolder();
      await file.publish();
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }
}
