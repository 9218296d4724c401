/** Lets one task run at a time, in the order in which they asked; the one that runs can step aside while it waits. */
export class Turns {
  #last: Promise<void> = Promise.resolve();
  #end = () => {};

  /** Runs a task when its turn has come. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    await this.#begin();
    try {
      return await task();
    } finally {
      this.#end();
    }
  }

  /** Only for the task that has the turn: lets others have it until `wait` is over, and then waits for another turn. */
  async aside<T>(wait: () => Promise<T>): Promise<T> {
    this.#end();
    try {
      return await wait();
    } finally {
      await this.#begin();
    }
  }

  async #begin(): Promise<void> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    await before;
    this.#end = resolve;
  }
}
