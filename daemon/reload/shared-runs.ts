/**
 * Runs a task once for all who ask before it begins. Who asks while it runs shares the next run, for the running one may
 * have read before the change that they mean.
 */
export class SharedRuns<T> {
  readonly #queue: (task: () => Promise<T>) => Promise<T>;
  readonly #waiting = new Map<string, Promise<T>>();
  readonly #running = new Map<string, Promise<T>>();

  /** `queue` runs a task when its turn has come. */
  constructor(queue: (task: () => Promise<T>) => Promise<T>) {
    this.#queue = queue;
  }

  /** True while a run of this name waits or runs. */
  has(name: string): boolean {
    return this.#waiting.has(name) || this.#running.has(name);
  }

  /** `task` gets the run before it, over by then, when this one was asked for while that one ran. */
  run(name: string, task: (before: Promise<T> | undefined) => Promise<T>): Promise<T> {
    const waiting = this.#waiting.get(name);
    if (waiting) return waiting;
    const before = this.#running.get(name);
    const run = this.#queue(() => {
      this.#waiting.delete(name);
      this.#running.set(name, run);
      return task(before);
    });
    this.#waiting.set(name, run);
    const end = () => this.#running.get(name) === run && this.#running.delete(name);
    run.then(end, end);
    return run;
  }
}
