import { cutChanges, cutIssues, cutPaths, historyLimits, type ListLimits } from '../model/cut-paths.ts';
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
  /** What the newest record says, where the same may come again and again. */
  #newest: string | undefined;

  constructor(parts: HistoryParts) {
    this.#parts = parts;
  }

  /** Takes a record that is {@link cleaned}. False when it could not be saved. */
  add(record: ReloadRecord): boolean {
    const { state } = this.#parts;
    return this.#try(() => {
      if (this.#isCounted(record)) return;
      const delivery = record.outcome === 'committed' ? this.#early.get(record.revision) : undefined;
      const id = state.addRecord({ ...short(record), ...(delivery && { delivery }) }, isOfPrograms(record));
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

  /** What programs cause again and again is counted in the newest record. */
  #isCounted(record: ReloadRecord): boolean {
    const { outcome, cause, error, shadowed } = record;
    const { state } = this.#parts;
    if (cause === 'client' && outcome === 'unchanged' && !shadowed && state.countInRecord('programReloads'))
      return true;
    const told = outcome === 'committed' || !isOfPrograms(record) ? undefined : [outcome, cause, error, shadowed];
    const text = told && JSON.stringify(told);
    const isSame = text !== undefined && text === this.#newest;
    this.#newest = text;
    return isSame && state.countInRecord('repeated');
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

/** Asked for by a program, or refused by programs without an operator who asked. */
function isOfPrograms({ cause, by, outcome, error }: ReloadRecord): boolean {
  return cause === 'client' || (by === undefined && outcome === 'rejected' && error?.rejectedBy !== undefined);
}

/** A record as it is kept: long lists and texts are cut, for a thousand records are kept and read at once. */
function short(record: ReloadRecord): ReloadRecord {
  const { error, reason } = record;
  return {
    ...record,
    ...(reason && { reason: shortText(reason) }),
    ...cutChanges(record, historyLimits),
    ...(error && { error: shortError(error) }),
  };
}

function shortError(error: NonNullable<ReloadRecord['error']>): NonNullable<ReloadRecord['error']> {
  const { message, rejectedBy } = error;
  const issues = cutIssues(error, historyLimits);
  const programs = rejectedBy && {
    rejectedBy: rejectedBy.slice(0, mostPrograms).map((said) => ({
      ...said,
      code: shortText(said.code),
      paths: cutPaths(said.paths, ofOneProgram),
      message: shortText(said.message),
    })),
    ...(rejectedBy.length > mostPrograms && { rejectedByTotal: rejectedBy.length }),
  };
  return { ...error, message: shortText(message), ...issues, ...programs };
}

const mostPrograms = 10;
const ofOneProgram: ListLimits = { count: 10, bytes: 2_000 };
const longestText = 2_000;

function shortText(text: string): string {
  return text.length > longestText ? `${text.slice(0, longestText - 1).toWellFormed()}…` : text;
}
