import type { Clock } from './clock.ts';
import type { Log } from './log.ts';
import type { SocketFile } from './socket-file.ts';

export interface SocketGuardParts {
  readonly files: readonly SocketFile[];
  /** Sees to it that the folder of the sockets is there and is still to be trusted. Throws why it is not. */
  readonly prepareFolder: () => void;
  readonly clock: Clock;
  readonly log: Log;
  /** Why programs cannot connect; `undefined` when they can again. */
  readonly onProblem: (problem: string | undefined) => void;
}

const everyMs = 5_000;

/**
 * Checks every 5 s that the sockets are still in their place, in a folder that is still to be trusted, and publishes again what
 * was deleted or replaced. Whatever fails is reported and tried again; it never ends the daemon.
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
    const lost = files.filter(({ isLost }) => isLost);
    const folder = await reasonOf(this.#parts.prepareFolder);
    if (folder) problems.push(folder);
    else
      for (const file of lost) {
        const problem = await reasonOf(() => file.publish());
        if (problem) problems.push(problem);
        else log('error', 'socket_restored', `${file.path} was deleted or replaced; it is published again`, {});
      }
    const problem = problems.length > 0 ? problems.join('; ') : undefined;
    const what = lost.length > 0 ? 'a socket is lost and cannot be put back' : 'the folder of the sockets is not safe';
    if (problem && problem !== this.#told) log('error', 'socket_lost', `${what}: ${problem}`, {});
    this.#told = problem;
    onProblem(problem);
  }
}

async function reasonOf(act: () => void | Promise<void>): Promise<string | undefined> {
  try {
    await act();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
