import { cutChanges, cutIssues, recordLimits } from '../model/cut-paths.ts';
import type { DaemonError } from '../model/errors.ts';
import type { Actor, ReloadOutcome, ReloadRecord } from '../model/snapshot.ts';
import { type Clock, timestamp } from '../ops/clock.ts';
import type { PinKeeper } from './commit-gate.ts';
import type { SnapshotStore } from './snapshot-store.ts';

/** What a reload looked at, and since when it was known to have changed, on the monotonic clock. */
export interface Looked {
  readonly sources?: readonly string[] | undefined;
  readonly changedAt?: number | undefined;
}

export interface Recorded extends Looked {
  readonly store: SnapshotStore;
  readonly pins: PinKeeper;
  readonly clock: Clock;
  /** What was withdrawn is still what the sources say. */
  readonly isWithdrawn: boolean;
  /** On the monotonic clock. */
  readonly startedAt: number;
  readonly endedAt: number;
}

/** The line of the history about a reload that has just ended. */
export function recordReload(outcome: ReloadOutcome, actor: Actor, recorded: Recorded): ReloadRecord {
  const { store, pins, clock, isWithdrawn, sources, changedAt, startedAt, endedAt } = recorded;
  const isCommit = outcome.kind === 'committed';
  const error = outcome.kind === 'rejected' ? outcome.error : isCommit ? outcome.refused : undefined;
  return {
    at: timestamp(clock),
    outcome: outcome.kind,
    revision: (isCommit ? outcome.snapshot : store.current)?.revision ?? 0,
    epoch: store.epoch,
    ...actor,
    ...(pins.pin && { pinned: pins.pin.revision }),
    ...(isWithdrawn && { withdrawn: true }),
    durationMs: roundMs(endedAt - startedAt),
    ...(sources && { sources }),
    ...(changedAt !== undefined && { sinceChangeMs: roundMs(endedAt - changedAt) }),
    ...cutChanges(isCommit ? outcome.snapshot : { changed: [], removed: [] }, recordLimits),
    ...(outcome.kind === 'unchanged' && outcome.shadowed && { shadowed: outcome.shadowed }),
    ...(error && { error: factsOf(error) }),
  };
}

const roundMs = (ms: number) => Math.round(ms * 100) / 100;

function factsOf({ code, message, facts }: DaemonError): NonNullable<ReloadRecord['error']> {
  const { issues = [], rejectedBy } = facts;
  return { code, message, ...cutIssues({ issues }, recordLimits), ...(rejectedBy && { rejectedBy }) };
}
