import { cutChanges, cutIssues, historyLimits } from '../model/cut-paths.ts';
import type { Delivery, ReloadRecord } from '../model/snapshot.ts';
import type { Redaction } from './redaction.ts';
import type { StateStore } from './state-store.ts';

export interface HistoryParts {
  readonly state: StateStore;
  readonly redaction: Redaction;
  readonly onUnsaved: (error: unknown) => void;
}

/** Records whose programs may still answer. */
const openRecords = 64;

/** Writes the history: how each reload ended, and later how the programs took it. */
export class History {
  readonly #parts: HistoryParts;
  /** The record that committed a revision. */
  readonly #committed = new Map<number, number>();
  /** Answers that came before their record was written. */
  readonly #early = new Map<number, Delivery>();

  constructor(parts: HistoryParts) {
    this.#parts = parts;
  }

  /** Takes a record that is {@link cleaned}. False when it could not be saved. */
  add(record: ReloadRecord): boolean {
    const { state } = this.#parts;
    return this.#try(() => {
      const delivery = record.outcome === 'committed' ? this.#early.get(record.revision) : undefined;
      const id = state.addRecord({ ...short(record), ...(delivery && { delivery }) });
      this.#early.clear();
      if (record.outcome !== 'committed') return;
      this.#committed.set(record.revision, id);
      for (const oldest of this.#committed.keys())
        if (this.#committed.size > openRecords) this.#committed.delete(oldest);
    });
  }

  /** Every program that was sent a revision has answered. */
  delivered(revision: number, delivery: Delivery): void {
    const id = this.#committed.get(revision);
    if (id === undefined) this.#early.set(revision, delivery);
    else this.#try(() => this.#parts.state.setDelivery(id, delivery));
  }

  /** A record that may be shown and kept: a reason and an error are words of others. */
  cleaned(record: ReloadRecord): ReloadRecord {
    const { reason, by, error } = record;
    return { ...record, ...(this.#parts.redaction.cleanValue({ reason, by, error }) as Partial<ReloadRecord>) };
  }

  #try(write: () => void): boolean {
    try {
      write();
      return true;
    } catch (error) {
      this.#parts.onUnsaved(error);
      return false;
    }
  }
}

/** A record as it is kept: long lists are cut, for a thousand records are kept and read at once. */
function short(record: ReloadRecord): ReloadRecord {
  const { error } = record;
  return {
    ...record,
    ...cutChanges(record, historyLimits),
    ...(error && { error: { ...error, ...cutIssues(error, historyLimits) } }),
  };
}
