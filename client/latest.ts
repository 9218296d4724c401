/**
 * A slot that holds the newest value for one slow reader; older ones that were not taken are dropped. Calls of `next()`
 * that wait are answered in order.
 */
export class Latest<T> implements AsyncIterableIterator<T> {
  readonly #onEnd: () => void;
  readonly #waiting: ((result: IteratorResult<T>) => void)[] = [];
  #value: { readonly value: T } | undefined;
  #isEnded = false;

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  put(value: T): void {
    if (this.#isEnded) return;
    const waiting = this.#waiting.shift();
    if (waiting) waiting({ done: false, value });
    else this.#value = { value };
  }

  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#value = undefined;
    this.#onEnd();
    for (const waiting of this.#waiting.splice(0)) waiting({ done: true, value: undefined });
  }

  async next(): Promise<IteratorResult<T>> {
    if (this.#isEnded) return { done: true, value: undefined };
    const taken = this.#value;
    this.#value = undefined;
    return taken ? { done: false, value: taken.value } : new Promise((resolve) => this.#waiting.push(resolve));
  }

  async return(): Promise<IteratorResult<T>> {
    this.end();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
