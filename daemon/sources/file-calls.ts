import { DaemonError } from '../model/errors.ts';
import type { Clock } from '../ops/clock.ts';

/** Node has four threads for file calls and name lookups by default: one of them stays free, whatever hangs. */
const maxRunning = 3;
/** One dead mount leaves a thread to the other roots. */
const maxPerRoot = 2;

interface Call {
  readonly root: string;
  readonly path: string;
  readonly begin: () => void;
  readonly refuse: () => void;
  isLate: boolean;
}

/**
 * Calls of the file system that end for their caller. The kernel may never answer one (a dead NFS or FUSE mount), and
 * neither Node nor the thread can take it back: it keeps its place here until it returns. Meanwhile calls for the same
 * path, or for a root with two such calls, fail at once; other roots go on.
 */
export class FileCalls {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #running = new Set<Call>();
  #queue: Call[] = [];

  /** `timeoutMs` is how long a call may take, in milliseconds; default 5 s. */
  constructor(clock: Clock, timeoutMs = 5_000) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** The result of a call about a path below a root. Throws `source_unreadable` when it does not return in time. */
  run<T>(root: string, path: string, act: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const refuse = () => reject(noAnswer(path, this.#timeoutMs));
      const begin = () => {
        const cancel = this.#clock.after(this.#timeoutMs, () => this.#late(call));
        const ended = act().then(resolve, reject);
        void ended.then(() => {
          cancel();
          this.#running.delete(call);
          this.#next();
        });
      };
      const call: Call = { root, path, begin, refuse, isLate: false };
      this.#queue.push(call);
      this.#next();
    });
  }

  #late(call: Call): void {
    call.isLate = true;
    call.refuse();
    this.#next();
  }

  #next(): void {
    const waiting: Call[] = [];
    for (const call of this.#queue) {
      if (this.#isBlocked(call)) call.refuse();
      else if (this.#isFull(call)) waiting.push(call);
      else this.#begin(call);
    }
    this.#queue = waiting;
  }

  #begin(call: Call): void {
    this.#running.add(call);
    call.begin();
  }

  #isBlocked({ root, path }: Call): boolean {
    const late = [...this.#running].filter(({ isLate }) => isLate);
    const ofRoot = late.filter((other) => other.root === root);
    return late.length >= maxRunning || ofRoot.length >= maxPerRoot || ofRoot.some((other) => other.path === path);
  }

  #isFull({ root }: Call): boolean {
    const ofRoot = [...this.#running].filter((other) => other.root === root);
    return this.#running.size >= maxRunning || ofRoot.length >= maxPerRoot;
  }
}

function noAnswer(subject: string, timeoutMs: number): DaemonError {
  return new DaemonError('source_unreadable', `cannot be read: no answer within ${timeoutMs / 1000} s`, {
    subject,
    systemCode: 'ETIMEDOUT',
    mend: 'check the mount that it lies on',
  });
}
