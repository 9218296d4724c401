import type { Delivery } from '../model/snapshot.ts';
import type { Clock } from '../ops/clock.ts';
import type { SessionEvent } from './session-event.ts';

export interface DeliveriesParts {
  readonly clock: Clock;
  /** Every program that was sent this revision has answered or is gone; called again when later ones have. */
  readonly onSettled: (revision: number, delivery: Delivery) => void;
}

interface Open {
  readonly publishedAt: number;
  outstanding: number;
  accepted: number;
  rejected: number;
}

/** Revisions that are kept count of; a program that is further behind gets a later one anyway. */
const keptRevisions = 64;

/** Keeps count of the answers to each revision, at a cost that does not depend on how many programs there are. */
export class Deliveries {
  readonly #parts: DeliveriesParts;
  readonly #open = new Map<number, Open>();
  readonly #waits = new Set<() => void>();
  #outstanding = 0;

  constructor(parts: DeliveriesParts) {
    this.#parts = parts;
  }

  /** A revision that went to some programs first keeps its count when it goes to the rest. */
  published(revision: number): void {
    if (this.#open.has(revision)) return;
    const publishedAt = this.#parts.clock.monotonic();
    this.#open.set(revision, { publishedAt, outstanding: 0, accepted: 0, rejected: 0 });
    for (const oldest of this.#open.keys()) if (this.#open.size > keptRevisions) this.#open.delete(oldest);
  }

  /** When a revision was published, on the monotonic clock; `undefined` for one that is long gone. */
  publishedAt(revision: number): number | undefined {
    return this.#open.get(revision)?.publishedAt;
  }

  sent(revision: number): void {
    this.#outstanding++;
    const open = this.#open.get(revision);
    if (open) open.outstanding++;
  }

  /** Counts what a session says of an answer, if it does. */
  follow(event: SessionEvent): void {
    if (event.kind === 'sent') this.sent(event.revision);
    else if (event.kind === 'accepted' || event.kind === 'unanswered') this.answered(event.revision, event.kind);
    else if (event.kind === 'rejected') this.answered(event.nack.revision, event.kind);
  }

  answered(revision: number, how: 'accepted' | 'rejected' | 'unanswered'): void {
    this.#outstanding--;
    const open = this.#open.get(revision);
    if (open) {
      open.outstanding--;
      if (how !== 'unanswered') open[how]++;
      if (open.outstanding === 0 && open.accepted + open.rejected > 0) this.#settle(revision, open);
    }
    if (this.#outstanding === 0) for (const resolve of this.#waits) resolve();
  }

  /** Resolves when every program has answered what it was sent, or after a time. */
  async allAnswered(withinMs: number): Promise<void> {
    // What was just published is offered in the same turn, so that nothing outstanding means that nothing is to come.
    if (this.#outstanding === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#parts.clock.after(withinMs, resolve);
    this.#waits.add(resolve);
    await promise;
    this.#waits.delete(resolve);
    cancel();
  }

  #settle(revision: number, { publishedAt, accepted, rejected }: Open): void {
    const lastAckMs = Math.round((this.#parts.clock.monotonic() - publishedAt) * 100) / 100;
    this.#parts.onSettled(revision, { accepted, rejected, lastAckMs });
  }
}
