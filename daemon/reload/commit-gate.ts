import type { Issue } from '../../schemas/errors.ts';
import { DaemonError } from '../model/errors.ts';
import type { LayerPart } from '../model/layer.ts';
import type { Candidate, Cause, KeptSnapshot, Pin, ReloadOutcome, Snapshot } from '../model/snapshot.ts';
import type { ValidateElsewhere } from './bounded-validation.ts';
import { findShadowed } from './find-shadowed.ts';
import { LossGuard } from './loss-guard.ts';
import { CandidateMaker } from './make-candidate.ts';
import type { Refusals } from './refusals.ts';
import type { Draft, SnapshotStore } from './snapshot-store.ts';
import { withUrgent } from './urgent-parts.ts';
import type { Validate } from './validate-candidate.ts';
import { judgeTrial, type Trial, type Voters } from './verify-candidate.ts';

/** Where the pin survives a restart. */
export interface PinKeeper {
  pin: Pin | undefined;
}

/** Brings what is committed to the programs. */
export interface Publisher {
  /** What all programs run, while some run something newer; `undefined` when nothing is staged. */
  readonly stable: Snapshot | undefined;
  /** Revisions go to some programs first. */
  readonly isStaging: boolean;
  /** A change at one of these paths goes to all programs at once. */
  isUrgent(paths: readonly string[]): boolean;
  /** As the strategy says: to all programs, or to some first. Called in the same turn as the commit. */
  publish(snapshot: Snapshot): void;
  /** To all programs at once; with `staged`, some get that one instead: those that run what was staged, or else the first. */
  publishToAll(snapshot: Snapshot, staged?: Snapshot): void;
}

export interface CommitGateParts {
  readonly store: SnapshotStore;
  readonly validate: Validate;
  readonly validateElsewhere: ValidateElsewhere;
  readonly voters: Voters;
  readonly pins: PinKeeper;
  readonly refusals: Refusals;
  readonly publisher: Publisher;
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
  /** What was pinned when the operator's turn came: who pins later, while programs are asked, has the last word. */
  readonly pinBefore?: Pin | undefined;
  /** Programs with `verify` are not asked. */
  readonly noVerify: boolean;
}

/** How a reload waits for what programs say. */
export interface Waiting {
  /** On the monotonic clock: what a program said of the same content since then counts. */
  readonly since?: number;
  /** Asks the programs of these views; `undefined` when they could not be asked now. Others may commit meanwhile. */
  whileAsked<T>(views: readonly string[], parts: readonly LayerPart[], ask: () => Promise<T>): Promise<T | undefined>;
}

const notWaiting: Waiting = { whileAsked: (_views, _parts, ask) => ask() };

/** How parts passed. `isHeld`: a revision is pinned, and they stay pending. */
export type Passed = Exclude<ReloadOutcome, { kind: 'rejected' }> & { readonly isHeld: boolean };

/** What a reload would do now. */
export interface Preview {
  readonly valid: boolean;
  /** Of the failure, where it is not valid. */
  readonly code?: string;
  readonly issues: readonly Issue[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  /** What the programs say of it that try candidates. */
  readonly trial: Trial;
  /** It would not be served while this revision is pinned; an operator's reload ends that. */
  readonly pinned?: number;
}

/** How long validating may hold up the event loop where the settings were served before. */
const servedMs = 5_000;

const nobody: Trial = { asked: 0, rejectedBy: [], silent: [], refusers: [] };

/**
 * All that stands between what the sources say and its commit: merging, the schema, the size, the guard against loss, the
 * pin, the refusals, and the programs that try candidates. What does not pass leaves no trace.
 */
export class CommitGate {
  readonly #parts: CommitGateParts;
  readonly #candidates: CandidateMaker;
  readonly #guard: LossGuard;

  constructor(parts: CommitGateParts) {
    const { validate, validateElsewhere, maxSnapshotBytes, maxRemoved } = parts;
    this.#parts = parts;
    this.#candidates = new CandidateMaker({ validate, validateElsewhere, maxBytes: maxSnapshotBytes });
    this.#guard = new LossGuard(maxRemoved);
  }

  get voters(): Voters {
    return this.#parts.voters;
  }

  /** Merged, validated and weighed. Parts lowest priority first. Throws `settings_invalid` or `snapshot_too_large`. */
  candidate(parts: readonly LayerPart[], ms?: number): Candidate {
    return this.#candidates.make(parts, ms);
  }

  /** A worker validates what would hold up the event loop; `undefined` where there is nothing to wait for. */
  #prepare(parts: readonly LayerPart[], signal: AbortSignal): Promise<void> | undefined {
    return this.#candidates.prepare(parts)?.then(() => {
      if (signal.aborted) throw stopping();
    });
  }

  /**
   * Commits, or finds that nothing is to be committed: it says what is served, or a revision is pinned. Throws why it
   * does not pass. `undefined`: something else was committed while programs were asked, and what there is to commit has
   * to be worked out again.
   */
  async pass(
    parts: readonly LayerPart[],
    licence: Licence,
    cause: Cause,
    signal: AbortSignal,
    waiting: Waiting = notWaiting,
  ): Promise<Passed | undefined> {
    const { store, pins } = this.#parts;
    const prepared = this.#prepare(parts, signal);
    if (prepared) await prepared;
    const endsPin = licence.endsPin && pins.pin === licence.pinBefore;
    const draft = store.draft(this.candidate(parts), cause);
    const shadowed = draft.isNew || !store.current ? [] : findShadowed(store.current.parts, parts);
    if (draft.isNew) {
      if (!licence.acceptMissing) this.#guard.check(store.current, draft.snapshot);
      if (pins.pin && !endsPin) return { kind: 'unchanged', snapshot: store.current!, isHeld: true };
      if (!licence.noVerify && !(await this.#verify(draft, signal, waiting))) return undefined;
    }
    const urgent = draft.isNew ? await this.#urgent(draft, licence, cause, signal, waiting) : undefined;
    if (urgent === 'overtaken') return undefined;
    if (endsPin) pins.pin = undefined;
    if (urgent) return this.#commitUrgent(urgent, draft, cause);
    const isFirst = store.current === undefined;
    const snapshot = store.commit(draft);
    if (draft.isNew || isFirst) this.#parts.publisher.publish(snapshot);
    if (draft.isNew) return { kind: 'committed', snapshot, isHeld: false };
    return { kind: 'unchanged', snapshot, isHeld: false, ...(shadowed.length > 0 && { shadowed }) };
  }

  /** Serves what was served before a restart. Throws `settings_invalid`. */
  restore(kept: KeptSnapshot): Snapshot {
    const { store, publisher } = this.#parts;
    const snapshot = store.restore(kept, this.candidate(kept.parts, servedMs));
    publisher.publishToAll(snapshot);
    return snapshot;
  }

  /** The same settings under a new epoch: a program runs a higher revision of this one than there is. */
  renewEpoch(): void {
    const { store, publisher } = this.#parts;
    const { stable } = publisher;
    const snapshot = store.renewEpoch();
    if (!snapshot) return;
    if (stable) publisher.publishToAll({ ...stable, epoch: snapshot.epoch }, snapshot);
    else publisher.publishToAll(snapshot);
  }

  /** Commits what was served before. It is validated again, for the schema may be another one now. */
  passAgain(parts: readonly LayerPart[]): Snapshot {
    return this.#commitForAll(this.#parts.store.draft(this.candidate(parts, servedMs), 'rollback'));
  }

  /** As {@link passAgain}, once every program with `verify` has accepted it. Throws as {@link pass}. */
  async passAgainVerified(parts: readonly LayerPart[], signal: AbortSignal): Promise<Snapshot> {
    const { store, voters } = this.#parts;
    const prepared = this.#prepare(parts, signal);
    if (prepared) await prepared;
    const draft = store.draft(this.candidate(parts), 'rollback');
    if (draft.isNew) judgeTrial(await voters.tryOut(draft.snapshot, signal, []));
    if (signal.aborted) throw stopping();
    return this.#commitForAll(draft);
  }

  /** Nothing of it waits for some programs to run it first, not even where it is what these run already. */
  #commitForAll(draft: Draft): Snapshot {
    const { store, publisher } = this.#parts;
    const snapshot = store.commit(draft);
    if (draft.isNew || publisher.stable) publisher.publishToAll(snapshot);
    return snapshot;
  }

  /** Throws who refuses a draft, or that it was withdrawn meanwhile. False when something else was committed or pinned meanwhile. */
  async #verify({ snapshot }: Draft, signal: AbortSignal, waiting: Waiting): Promise<boolean> {
    const { store, voters, refusals, pins } = this.#parts;
    const [current, pin] = [store.current, pins.pin];
    // Where nothing is served yet, nobody can be connected, and who is absent holds up nothing.
    const refusers = store.current ? refusals.refusersOf(snapshot.parts) : [];
    const ask = () => voters.tryOut(snapshot, signal, refusers, waiting.since);
    const views = voters.viewsAsked(snapshot);
    const trial = await (views.length > 0 ? waiting.whileAsked(views, snapshot.parts, ask) : ask());
    if (signal.aborted) throw stopping();
    if (!trial || store.current !== current || pins.pin !== pin) return false;
    judgeTrial(trial);
    refusals.checkWithdrawn(snapshot.parts);
    return true;
  }

  /**
   * What is urgent in a draft, on top of what all programs run: a draft for all of them, where the rest must go to some
   * first. `undefined` where nothing is, or where it is not valid without the rest: then all of it goes to all.
   */
  async #urgent(
    draft: Draft,
    licence: Licence,
    cause: Cause,
    signal: AbortSignal,
    waiting: Waiting,
  ): Promise<Draft | 'overtaken' | undefined> {
    const { publisher } = this.#parts;
    const { changed, removed } = draft.snapshot;
    if (!publisher.isStaging || !publisher.isUrgent([...changed, ...removed])) return undefined;
    for (;;) {
      const stable = this.#stable;
      const forAll = stable && this.#urgentDraft(stable, draft, cause);
      if (!forAll) return undefined;
      if (!licence.noVerify && !(await this.#verify(forAll, signal, waiting))) return 'overtaken';
      // What was staged may have gone to all, or have been withdrawn, while programs tried it.
      if (this.#stable === stable) return forAll;
    }
  }

  /** What all programs run. */
  get #stable(): Snapshot | undefined {
    return this.#parts.publisher.stable ?? this.#parts.store.current;
  }

  #urgentDraft(stable: Snapshot, { snapshot: { parts } }: Draft, cause: Cause): Draft | undefined {
    const { store, publisher } = this.#parts;
    const isUrgent = (paths: readonly string[]) => publisher.isUrgent(paths);
    try {
      return store.draft(this.candidate(withUrgent(stable.parts, store.current!.parts, parts, isUrgent)), cause);
    } catch (error) {
      if (error instanceof DaemonError) return undefined;
      throw error;
    }
  }

  #commitUrgent(urgent: Draft, { snapshot: { settings, parts } }: Draft, cause: Cause): Passed {
    const { store, publisher } = this.#parts;
    const forAll = store.commit(urgent);
    const rest = store.draft({ settings, parts }, cause);
    if (!rest.isNew) {
      publisher.publishToAll(forAll);
      return { kind: 'committed', snapshot: forAll, isHeld: false };
    }
    const staged = store.commit(rest);
    publisher.publishToAll(forAll, staged);
    return { kind: 'committed', snapshot: staged, urgent: forAll, isHeld: false };
  }

  /** What would become of these parts; commits nothing. `load` fails where they cannot be read. `asks`: programs try them. */
  async look(load: () => Promise<readonly LayerPart[]>, asks: boolean, signal: AbortSignal): Promise<Preview> {
    const { store, voters, pins } = this.#parts;
    const pinned = pins.pin && { pinned: pins.pin.revision };
    let seen = { changed: [] as readonly string[], removed: [] as readonly string[], trial: nobody };
    try {
      const parts = await load();
      await this.#prepare(parts, signal);
      const { snapshot, isNew } = store.draft(this.candidate(parts), 'operator');
      if (isNew) {
        seen = { ...seen, changed: snapshot.changed, removed: snapshot.removed };
        this.#guard.check(store.current, snapshot);
        if (asks) seen = { ...seen, trial: await voters.tryOut(snapshot, signal, []) };
        judgeTrial(seen.trial);
      }
      return { valid: true, issues: [], ...seen, ...pinned };
    } catch (error) {
      if (!(error instanceof DaemonError)) throw error;
      return { valid: false, code: error.code, issues: error.issues, ...seen, ...pinned };
    }
  }
}

function stopping(): DaemonError {
  return new DaemonError('shutting_down', 'the daemon is stopping');
}
