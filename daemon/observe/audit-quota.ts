import { Budget } from '../ops/budget.ts';
import type { Clock } from '../ops/clock.ts';

/** What was left out, by what it was and of whom. */
export interface LeftOut {
  readonly count: number;
  readonly of: Readonly<Record<string, number>>;
}

export interface AuditQuotaParts {
  readonly clock: Clock;
  readonly onLeftOut: (leftOut: LeftOut) => void;
  /** Records a minute of each kind. */
  readonly aMinute?: number;
  /** Records a minute of all kinds. */
  readonly ofAll?: number;
}

const minuteMs = 60_000;
/** Names in a report of what was left out; the rest is only counted. */
const maxNames = 10;

/** How many records others can cause: so many a minute of each kind and of all, and one that counts what was left out. */
export class AuditQuota {
  readonly #parts: AuditQuotaParts;
  readonly #each: Budget;
  readonly #all: Budget;
  readonly #leftOut = new Map<string, number>();
  #count = 0;
  #cancel: (() => void) | undefined;

  constructor(parts: AuditQuotaParts) {
    const { clock, aMinute = 60, ofAll = 600 } = parts;
    this.#parts = parts;
    this.#each = new Budget(clock, aMinute);
    this.#all = new Budget(clock, ofAll);
  }

  /** False where it is to be left out, which is then counted. */
  take(kind: string): boolean {
    if (this.#each.take(kind) !== undefined && this.#all.take('') !== undefined) return true;
    this.#count++;
    if (this.#leftOut.has(kind) || this.#leftOut.size < maxNames)
      this.#leftOut.set(kind, (this.#leftOut.get(kind) ?? 0) + 1);
    this.#cancel ??= this.#parts.clock.after(minuteMs, () => this.#report());
    return false;
  }

  /** Reports what was left out until now. */
  close(): void {
    this.#cancel?.();
    if (this.#cancel) this.#report();
  }

  #report(): void {
    this.#cancel = undefined;
    this.#parts.onLeftOut({ count: this.#count, of: Object.fromEntries(this.#leftOut) });
    this.#count = 0;
    this.#leftOut.clear();
  }
}
