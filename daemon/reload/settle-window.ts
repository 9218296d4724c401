import type { Burst, ChangeHint } from '../model/layer.ts';
import { type Clock, sleep } from '../ops/clock.ts';

export interface SettleTimes {
  /** A burst ends after this long without a hint. */
  readonly quietMs: number;
  /** ... or this long after its first hint. */
  readonly maxWaitMs: number;
}

/**
 * Groups hints into bursts. Hints that come while a burst is worked on make up the next one. Who takes a burst owns
 * it; only one may take at a time.
 */
export class SettleWindow {
  readonly #clock: Clock;
  readonly #times: SettleTimes;
  #hinted = new Set<string>();
  #reasons = new Set<string>();
  #firstAt = 0;
  #lastAt = 0;
  #wake = () => {};

  constructor(times: SettleTimes, clock: Clock) {
    this.#times = times;
    this.#clock = clock;
  }

  add({ sourceId, reason }: ChangeHint): void {
    this.#lastAt = this.#clock.monotonic();
    if (this.#hinted.size === 0) this.#firstAt = this.#lastAt;
    this.#hinted.add(sourceId);
    this.#reasons.add(reason);
    this.#wake();
  }

  /** A hint for each of these sources. */
  addAll(sourceIds: Iterable<string>, reason: string): void {
    for (const sourceId of sourceIds) this.add({ sourceId, reason });
  }

  /** The bursts, until the signal aborts. */
  async *bursts(signal: AbortSignal): AsyncGenerator<Burst> {
    const wake = () => this.#wake();
    signal.addEventListener('abort', wake);
    try {
      while (!signal.aborted) {
        await this.#hint(signal);
        await this.#settled(signal);
        if (signal.aborted) return;
        yield this.#take();
      }
    } finally {
      signal.removeEventListener('abort', wake);
    }
  }

  #take(): Burst {
    const burst = { sourceIds: this.#hinted, firstAt: this.#firstAt, reasons: [...this.#reasons] };
    this.#hinted = new Set();
    this.#reasons = new Set();
    return burst;
  }

  #hint(signal: AbortSignal): Promise<void> {
    if (this.#hinted.size > 0 || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  async #settled(signal: AbortSignal): Promise<void> {
    const { quietMs, maxWaitMs } = this.#times;
    for (;;) {
      const until = Math.min(this.#lastAt + quietMs, this.#firstAt + maxWaitMs);
      const left = until - this.#clock.monotonic();
      if (left <= 0 || signal.aborted) return;
      // Timers count whole milliseconds and drop the rest, which would make for a second wait.
      await sleep(this.#clock, Math.ceil(left), signal);
    }
  }
}
