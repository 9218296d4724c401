import type { Issue } from '../../schemas/errors.ts';
import { DaemonError } from '../model/errors.ts';
import type { LayerPart } from '../model/layer.ts';
import type { Candidate, Cause, Pin, ReloadOutcome, Snapshot } from '../model/snapshot.ts';
import { findShadowed } from './find-shadowed.ts';
import { LossGuard } from './loss-guard.ts';
import { CandidateMaker } from './make-candidate.ts';
import { Quarantine, type QuarantineKeeper } from './quarantine.ts';
import type { SnapshotStore } from './snapshot-store.ts';
import type { Validate } from './validate-candidate.ts';
import { judgeTrial, type Trial, type TryOut } from './verify-candidate.ts';

/** Where the pin survives a restart. */
export interface PinKeeper {
  pin: Pin | undefined;
}

export interface CommitGateParts {
  readonly store: SnapshotStore;
  readonly validate: Validate;
  readonly tryOut: TryOut;
  readonly pins: PinKeeper;
  readonly withdrawals: QuarantineKeeper;
  readonly maxSnapshotBytes: number;
  /** The share of the settings that a reload may remove, from 0 to 1. */
  readonly maxRemoved: number;
}

/** What an operator allows a reload to do. */
export interface Licence {
  /** Most of the settings may go, and with them secrets that Secret Manager does not give out any more. */
  readonly acceptMissing: boolean;
  /** The sources flow again. */
  readonly endsPin: boolean;
}

/** What a reload would do now. */
export interface Preview {
  readonly valid: boolean;
  readonly issues: readonly Issue[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  /** What the programs say of it that try candidates. */
  readonly trial: Trial;
  /** It would not be served while this revision is pinned; an operator's reload ends that. */
  readonly pinned?: number;
}

const nobody: Trial = { asked: 0, rejectedBy: [], silent: [] };

/**
 * All that stands between what the sources say and its commit: merging, the schema, the size, the guard against loss, the
 * pin, the quarantine, and the programs that try candidates. What does not pass leaves no trace.
 */
export class CommitGate {
  readonly #parts: CommitGateParts;
  readonly #candidates: CandidateMaker;
  readonly #guard: LossGuard;
  readonly #quarantine: Quarantine;

  constructor(parts: CommitGateParts) {
    const { validate, maxSnapshotBytes, maxRemoved, withdrawals } = parts;
    this.#parts = parts;
    this.#candidates = new CandidateMaker({ validate, maxBytes: maxSnapshotBytes });
    this.#guard = new LossGuard(maxRemoved);
    this.#quarantine = new Quarantine(withdrawals);
  }

  /** Merged, validated and weighed. Parts lowest priority first. Throws `settings_invalid` or `snapshot_too_large`. */
  candidate(parts: readonly LayerPart[]): Candidate {
    return this.#candidates.make(parts);
  }

  /**
   * Commits, or finds that nothing is to be committed: it says what is served, or a revision is pinned. Throws why it
   * does not pass.
   */
  async pass(
    parts: readonly LayerPart[],
    { acceptMissing, endsPin }: Licence,
    cause: Cause,
    signal: AbortSignal,
  ): Promise<Exclude<ReloadOutcome, { kind: 'rejected' }> & { readonly isHeld: boolean }> {
    const { store, tryOut, pins } = this.#parts;
    const draft = store.draft(this.candidate(parts), cause);
    const shadowed = draft.isNew || !store.current ? [] : findShadowed(store.current.parts, parts);
    if (draft.isNew) {
      if (!acceptMissing) this.#guard.check(store.current, draft.snapshot);
      if (pins.pin && !endsPin) return { kind: 'unchanged', snapshot: store.current!, isHeld: true };
      this.#quarantine.check(parts);
      judgeTrial(await tryOut(draft.snapshot, signal));
    }
    if (signal.aborted) throw new DaemonError('shutting_down', 'the daemon is stopping');
    if (endsPin) pins.pin = undefined;
    const snapshot = store.commit(draft);
    if (draft.isNew) return { kind: 'committed', snapshot, isHeld: false };
    return { kind: 'unchanged', snapshot, isHeld: false, ...(shadowed.length > 0 && { shadowed }) };
  }

  /** Commits what was served before. It is validated again, for the schema may be another one now. */
  passAgain(parts: readonly LayerPart[]): Snapshot {
    const { store } = this.#parts;
    return store.commit(store.draft(this.candidate(parts), 'rollback'));
  }

  /** As {@link passAgain}, once every program that tries candidates has accepted it. Throws as {@link pass}. */
  async passAgainVerified(parts: readonly LayerPart[], signal: AbortSignal): Promise<Snapshot> {
    const { store, tryOut } = this.#parts;
    const draft = store.draft(this.candidate(parts), 'rollback');
    if (draft.isNew) judgeTrial(await tryOut(draft.snapshot, signal));
    if (signal.aborted) throw new DaemonError('shutting_down', 'the daemon is stopping');
    return store.commit(draft);
  }

  /** What would become of these parts; commits nothing. `load` fails where they cannot be read. */
  async look(load: () => Promise<readonly LayerPart[]>, signal: AbortSignal): Promise<Preview> {
    const { store, tryOut, pins } = this.#parts;
    const pinned = pins.pin && { pinned: pins.pin.revision };
    let seen = { changed: [] as readonly string[], removed: [] as readonly string[], trial: nobody };
    try {
      const { snapshot, isNew } = store.draft(this.candidate(await load()), 'operator');
      if (isNew) {
        seen = { ...seen, changed: snapshot.changed, removed: snapshot.removed };
        this.#guard.check(store.current, snapshot);
        seen = { ...seen, trial: await tryOut(snapshot, signal) };
        judgeTrial(seen.trial);
      }
      return { valid: true, issues: [], ...seen, ...pinned };
    } catch (error) {
      if (!(error instanceof DaemonError)) throw error;
      return { valid: false, issues: error.issues, ...seen, ...pinned };
    }
  }

  /** What is new in `bad` is not tried again until its source says something else. */
  quarantine(bad: Snapshot, stable: Snapshot, why: string): void {
    this.#quarantine.add(bad.parts, stable.parts, why);
  }

  /** An operator wants everything to be tried again. */
  endQuarantine(): void {
    this.#quarantine.clear();
  }
}
