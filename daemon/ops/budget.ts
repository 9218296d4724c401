import type { Clock } from './clock.ts';

/**
 * How much is written of what others can cause as often as they like: so many a minute of each kind, and of the rest how
 * many there were.
 */
export class Budget {
  readonly #clock: Clock;
  readonly #aMinute: number;
  readonly #kinds = new Map<string, { since: number; count: number; untold: number }>();

  constructor(clock: Clock, aMinute: number) {
    this.#clock = clock;
    this.#aMinute = aMinute;
  }

  /** How many of this kind went untold before this one; `undefined` when this one is not to be told either. */
  take(kind: string): number | undefined {
    const now = this.#clock.monotonic();
    const found = this.#kinds.get(kind) ?? { since: now, count: 0, untold: 0 };
    // Put last, so that the kinds that are forgotten are those that were not heard of for longest.
    this.#kinds.delete(kind);
    this.#kinds.set(kind, found);
    for (const oldest of this.#kinds.keys()) if (this.#kinds.size > maxKinds) this.#kinds.delete(oldest);
    if (now - found.since >= 60_000) Object.assign(found, { since: now, count: 0 });
    if (found.count >= this.#aMinute) {
      found.untold++;
      return undefined;
    }
    found.count++;
    const { untold } = found;
    found.untold = 0;
    return untold;
  }
}

const maxKinds = 256;
