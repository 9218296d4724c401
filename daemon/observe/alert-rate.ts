import type { Clock } from '../ops/clock.ts';
import type { Alert } from './alert-book.ts';

export interface AlertRateParts {
  readonly clock: Clock;
  readonly tell: (alert: Alert) => void;
}

interface Spent {
  /** Alerts that may be told at once. */
  left: number;
  /** The newest one that waits, and how many went before it. */
  waiting: Alert | undefined;
  leftOut: number;
  readonly cancel: () => void;
}

const atOnce = 6;
const everyMs = 10 * 60_000;

/**
 * Whatever loops, at most 12 alerts an hour are told about one thing: six at once, then one every ten minutes. It is the
 * newest one, and says how many were left out before it.
 */
export class AlertRate {
  readonly #parts: AlertRateParts;
  readonly #spent = new Map<string, Spent>();

  constructor(parts: AlertRateParts) {
    this.#parts = parts;
  }

  tell(alert: Alert): void {
    const spent = this.#spent.get(alert.key) ?? this.#start(alert.key, atOnce);
    if (spent.left > 0) {
      spent.left--;
      this.#parts.tell(alert);
      return;
    }
    if (spent.waiting) spent.leftOut++;
    spent.waiting = alert;
  }

  stop(): void {
    for (const { cancel } of this.#spent.values()) cancel();
    this.#spent.clear();
  }

  #start(key: string, left: number): Spent {
    const cancel = this.#parts.clock.after(everyMs, () => this.#refill(key));
    const spent = { left, waiting: undefined, leftOut: 0, cancel };
    this.#spent.set(key, spent);
    return spent;
  }

  /** One more may be told: what waits, or else a later one. What is at rest is forgotten. */
  #refill(key: string): void {
    const { left, waiting, leftOut } = this.#spent.get(key)!;
    if (!waiting && left + 1 >= atOnce) return void this.#spent.delete(key);
    this.#start(key, waiting ? left : left + 1);
    if (!waiting) return;
    const more = leftOut > 0 ? ` (${leftOut} alerts about this were left out before)` : '';
    this.#parts.tell({ ...waiting, summary: `${waiting.summary}${more}` });
  }
}
