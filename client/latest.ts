/** A slot that holds the newest value for one slow reader; older ones that were not taken are dropped. */
export class Latest<T> implements AsyncIterableIterator<T> {
  #value: { readonly value: T } | undefined;
  #isEnded = false;
  #wake = () => {};
  readonly #onEnd: () => void;

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  put(value: T): void {
    this.#value = { value };
    this.#wake();
  }

  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#onEnd();
    this.#wake();
  }

  async next(): Promise<IteratorResult<T>> {
    while (!this.#value && !this.#isEnded) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const taken = this.#value;
    this.#value = undefined;
    return taken && !this.#isEnded ? { done: false, value: taken.value } : { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<T>> {
    this.end();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
