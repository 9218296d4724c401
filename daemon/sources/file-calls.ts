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
  /** Calls that wait, by root. */
  readonly #queues = new Map<string, Call[]>();

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
        // After the event loop stood still, an answer may be there that nobody has looked at yet.
        const cancel = this.#clock.after(this.#timeoutMs, () => setImmediate(() => this.#late(call)));
        const ended = act().then(resolve, reject);
        void ended.then(() => {
          cancel();
          this.#running.delete(call);
          this.#next();
        });
      };
      const call: Call = { root, path, begin, refuse, isLate: false };
      const queue = this.#queues.get(root);
      if (queue) queue.push(call);
      else this.#queues.set(root, [call]);
      this.#next();
    });
  }

  #late(call: Call): void {
    if (!this.#running.has(call)) return;
    call.isLate = true;
    call.refuse();
    this.#next();
  }

  #next(): void {
    const late = [...this.#running].filter(({ isLate }) => isLate);
    for (const [root, queue] of this.#queues) {
      const waiting = late.length > 0 ? queue.filter((call) => !this.#refuseBlocked(call, late)) : queue;
      while (waiting.length > 0 && !this.#isFull(root)) this.#begin(waiting.shift()!);
      if (waiting.length > 0) this.#queues.set(root, waiting);
      else this.#queues.delete(root);
    }
  }

  #begin(call: Call): void {
    this.#running.add(call);
    call.begin();
  }

  /** True for a call that cannot be begun, nor soon. */
  #refuseBlocked({ root, path, refuse }: Call, late: readonly Call[]): boolean {
    const ofRoot = late.filter((other) => other.root === root);
    const isBlocked =
      late.length >= maxRunning || ofRoot.length >= maxPerRoot || ofRoot.some((other) => other.path === path);
    if (isBlocked) refuse();
    return isBlocked;
  }

  #isFull(root: string): boolean {
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
