import type { Clock } from '../ops/clock.ts';

export interface RetryParts {
  readonly clock: Clock;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly act: () => void;
}

const firstMs = 5_000;
const longestMs = 10 * 60_000;

/**
 * Acts again later, at growing intervals, until it is told that it worked: first after about 5 s, then twice as long
 * each time up to 10 minutes, each wait between half and all of that.
 */
export class Retry {
  readonly #parts: RetryParts;
  #failures = 0;
  #cancel = () => {};

  constructor(parts: RetryParts) {
    this.#parts = parts;
  }

  failed(): void {
    const { clock, random, act } = this.#parts;
    const bound = Math.min(firstMs * 2 ** this.#failures++, longestMs);
    this.#cancel();
    this.#cancel = clock.after(bound * (0.5 + random() / 2), act);
  }

  worked(): void {
    this.#failures = 0;
    this.#cancel();
  }
}
