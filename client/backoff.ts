/** Waits between attempts, in milliseconds: the first 50 to 100, then full jitter up to twice as much each time, at most 5 s. */
export class Backoff {
  readonly #random: () => number;
  #attempts = 0;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  next(): number {
    const attempt = this.#attempts++;
    if (attempt === 0) return 50 + this.#random() * 50;
    return this.#random() * Math.min(100 * 2 ** attempt, 5_000);
  }

  reset(): void {
    this.#attempts = 0;
  }
}
