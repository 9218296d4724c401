/** What flows into a bucket, and how much it holds at most. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/**
 * A token bucket that may go into debt, by one burst at most: what is over is paid before anything else. Has no timer;
 * `now` is the monotonic time in milliseconds.
 */
export class Bucket {
  readonly #rate: Rate;
  #content: number;
  #at: number;

  constructor(rate: Rate, now: number, content = rate.burst) {
    this.#rate = rate;
    this.#content = content;
    this.#at = now;
  }

  /** Takes what is there, and the rest as a debt. */
  take(cost: number, now: number): void {
    this.#refill(now);
    this.#content = Math.max(-this.#rate.burst, this.#content - cost);
  }

  /** Takes all of it or nothing. */
  tryTake(cost: number, now: number): boolean {
    this.#refill(now);
    if (this.#content < cost) return false;
    this.#content -= cost;
    return true;
  }

  /** Milliseconds until this much is there; 0 when it is. */
  waitMs(cost: number, now: number): number {
    this.#refill(now);
    return this.#content >= cost ? 0 : Math.ceil(((cost - this.#content) * 1_000) / this.#rate.perSecond);
  }

  isFull(now: number): boolean {
    this.#refill(now);
    return this.#content >= this.#rate.burst;
  }

  #refill(now: number): void {
    const { perSecond, burst } = this.#rate;
    this.#content = Math.min(burst, this.#content + ((now - this.#at) * perSecond) / 1_000);
    this.#at = now;
  }
}
