import type { Rejecting } from '../../schemas/wire.ts';
import { DaemonError } from '../model/errors.ts';
import type { Burst, LayerPart } from '../model/layer.ts';
import { isEqualParts } from '../model/parts.ts';
import type { Actor, KeptSnapshot, ReloadOutcome, ReloadRecord, Snapshot } from '../model/snapshot.ts';
import { type Clock, sleep, timestamp } from '../ops/clock.ts';
import type { Source } from '../sources/source.ts';
import { causeOf } from './cause-of.ts';
import type { CommitGate, PinKeeper, Preview } from './commit-gate.ts';
import { inTime } from './in-time.ts';
import { LayerStore } from './layer-store.ts';
import { loadOnceThere } from './load-once-there.ts';
import { LoadedPreview } from './loaded-preview.ts';
import { PendingCommits } from './pending-commits.ts';
import { type Looked, recordReload } from './record-reload.ts';
import type { HeldChange, Refusals } from './refusals.ts';
import {
  askedPatienceMs,
  fullRequest,
  hintedRequest,
  nameOf,
  type ReloadRequest,
  type Request,
} from './reload-request.ts';
import type { SettleWindow } from './settle-window.ts';
import { SharedRuns } from './shared-runs.ts';
import type { SnapshotStore } from './snapshot-store.ts';
import { Turns } from './turns.ts';
import { concernedParts } from './verify-candidate.ts';

export interface ReloaderParts {
  /** Lowest priority first. */
  readonly sources: readonly Source[];
  /** Sources of their own for looking without touching. */
  readonly freshSources: () => readonly Source[];
  readonly settle: SettleWindow;
  readonly store: SnapshotStore;
  readonly gate: CommitGate;
  readonly refusals: Refusals;
  readonly pins: PinKeeper;
  /** The parts of an earlier revision that is kept; `undefined` when it is gone. */
  readonly partsOf: (revision: number) => Promise<readonly LayerPart[] | undefined>;
  readonly clock: Clock;
  readonly deadlineMs: number;
  readonly minIntervalMs: number;
  /** How long a start waits for a source that cannot be read yet. */
  readonly startWaitMs: number;
  /** A start waits for this to pass. */
  readonly onWaiting: (error: DaemonError) => void;
  /** `hints`: what was noticed, where that is what started it. */
  readonly onStart: (actor: Actor, hints: readonly string[]) => void;
  readonly onEnd: (record: ReloadRecord, outcome: ReloadOutcome) => void;
}

/** What an operator wants to go back to. */
export interface RollbackRequest {
  readonly to: number;
  /** Only when this revision is served. */
  readonly expect?: number | undefined;
  /** The programs that try candidates are not asked. */
  readonly force?: boolean | undefined;
}

/**
 * Turns bursts of hints into committed snapshots, one reload at a time. Everything before the commit works on values
 * that nobody else can see, so a failure needs no undo.
 */
export class Reloader {
  readonly #parts: ReloaderParts;
  readonly #layers: LayerStore;
  readonly #turns = new Turns();
  readonly #pending: PendingCommits;
  #previewTail: Promise<unknown> = Promise.resolve();
  readonly #full = new SharedRuns<ReloadOutcome>((task) => this.#turns.run(task));
  readonly loaded: LoadedPreview;
  readonly #previews = new SharedRuns<Preview>((task) => {
    const result = this.#previewTail.then(task);
    this.#previewTail = result.catch(() => {});
    return result;
  });

  constructor(parts: ReloaderParts) {
    this.#parts = parts;
    this.#layers = new LayerStore(parts.sources);
    this.loaded = new LoadedPreview(this.#layers, parts.gate, parts.store);
    this.#pending = new PendingCommits({ ...parts, layers: this.#layers, turns: this.#turns });
  }

  /** Serves what was served before a restart, until the sources have been read. Throws `settings_invalid`. */
  restore(kept: KeptSnapshot): Snapshot {
    const snapshot = this.#parts.gate.restore(kept);
    this.#layers.restore(kept.parts);
    return snapshot;
  }

  /** Reloads for each burst until the signal aborts. One that waits for programs does not keep the next from beginning. */
  async run(signal: AbortSignal): Promise<void> {
    const { settle, clock, minIntervalMs } = this.#parts;
    const open = new Set<Promise<unknown>>();
    let failure: { readonly error: unknown } | undefined;
    for await (const burst of settle.bursts(signal)) {
      if (failure) break;
      const { promise: aside, resolve: onAside } = Promise.withResolvers<void>();
      const actor = { cause: causeOf(burst, this.#parts.sources) };
      const request = { ...hintedRequest(), onAside };
      const reload = this.#turns.run(() => this.#reload(burst.sourceIds, request, actor, signal, burst));
      open.add(reload);
      const end = () => open.delete(reload);
      reload.then(end, (error) => {
        failure = { error };
        end();
      });
      await Promise.race([reload, aside]);
      // What is hinted meanwhile waits in the settle window.
      await sleep(clock, minIntervalMs, signal);
    }
    await Promise.all(open);
    if (failure) throw failure.error;
  }

  /**
   * Reads every source again, forgetting every cache. Calls before it begins share it; calls while it runs share one more
   * look at the sources, and its outcome where nothing has changed since. A program may ask for it too, but only an
   * operator's makes files that are gone take their values with them, tries again what was refused, and ends a pin.
   */
  reloadAll(actor: Actor, signal: AbortSignal, asked: ReloadRequest = {}): Promise<ReloadOutcome> {
    return this.#full.run(nameOf(actor, asked), async (before) => {
      const { deadlineMs, store, refusals, pins } = this.#parts;
      const pinBefore = pins.pin;
      const request = { ...fullRequest(actor, asked, deadlineMs, store.current !== undefined), pinBefore };
      // The one before may wait for programs, and needs another turn to end.
      const outcome = before && (await this.#turns.aside(() => before));
      if (outcome && outcome.kind !== 'rejected' && (await this.#isStillNewest(request, signal))) return outcome;
      if (request.triesRefused) refusals.clear();
      return this.#reload(this.#layers.sourceIds, request, actor, signal);
    });
  }

  /** An operator's {@link reloadAll} would share the one that runs. */
  isReloadingAll(asked: ReloadRequest): boolean {
    return this.#full.has(nameOf({ cause: 'operator' }, asked));
  }

  /** Reads every source again; true when all say what they said last. */
  async #isStillNewest(request: Request, signal: AbortSignal): Promise<boolean> {
    const before = this.#layers.partsOf(this.#layers.newest);
    try {
      await this.#inTime(this.#layers.load(this.#layers.sourceIds, request, signal), signal);
    } catch {
      return false;
    }
    return isEqualParts(before, this.#layers.partsOf(this.#layers.newest));
  }

  /** Reads what was hinted of these sources now, without waiting for the settle window. */
  reloadNow(sourceIds: ReadonlySet<string>, actor: Actor, signal: AbortSignal): Promise<ReloadOutcome> {
    const request = hintedRequest({ patienceMs: askedPatienceMs(this.#parts.deadlineMs) });
    return this.#turns.run(() => this.#reload(sourceIds, request, actor, signal));
  }

  /**
   * Commits the content of an earlier revision as a new one, and pins it. Throws `revision_conflict` when another
   * revision than `expect` is served, and `revision_gone`; a content that the schema refuses is a rejected outcome.
   */
  rollback(
    { to, expect, force }: RollbackRequest,
    actor: Omit<Actor, 'cause'>,
    signal: AbortSignal,
  ): Promise<ReloadOutcome> {
    return this.#turns.run(async () => {
      const { store, partsOf } = this.#parts;
      if (!store.current) throw new DaemonError('not_reachable', 'nothing is served yet');
      const { revision } = store.current;
      if (expect !== undefined && expect !== revision)
        throw new DaemonError('revision_conflict', `revision ${revision} is served, not ${expect}`, {
          mend: 'look again',
        });
      const parts = await partsOf(to);
      if (!parts)
        throw new DaemonError('revision_gone', `revision ${to} is not kept`, { mend: 'see `hotconf history`' });
      return this.#recorded({ ...actor, cause: 'rollback', to }, async () => {
        const { gate } = this.#parts;
        const snapshot = force ? gate.passAgain(parts) : await gate.passAgainVerified(parts, signal);
        // Whoever goes back to what programs refused wants it all the same.
        this.#parts.refusals.passed(parts);
        const { by, reason } = actor;
        const since = timestamp(this.#parts.clock);
        this.#parts.pins.pin = { revision: snapshot.revision, to, since, ...(by && { by }), ...(reason && { reason }) };
        return { kind: snapshot.revision === revision ? 'unchanged' : 'committed', snapshot };
      });
    });
  }

  /** Lets the sources flow again. */
  unpin(actor: Actor, signal: AbortSignal): Promise<ReloadOutcome> {
    return this.#turns.run(() => {
      const { deadlineMs, pins } = this.#parts;
      const more = { patienceMs: askedPatienceMs(deadlineMs), endsPin: true, pinBefore: pins.pin };
      return this.#reload(this.#layers.sourceIds, hintedRequest(more), actor, signal);
    });
  }

  /**
   * Takes back what programs could not live with: from now on nothing that holds what was new in `bad` is committed, and
   * what all ran before is committed again, as a new revision. What else was staged on top is then tried without it.
   */
  withdraw(
    bad: Snapshot,
    stable: Snapshot,
    rejectedBy: readonly Rejecting[],
    voters: readonly string[],
  ): Promise<void> {
    const { refusals, store, gate } = this.#parts;
    const [first] = rejectedBy;
    const why = `${first?.name || 'a program'} (pid ${first?.pid}) rejects it: ${first?.message}`;
    // Silence says nothing about the content: it is tried again later.
    const isSilence = rejectedBy.every(({ code }) => code === 'unanswered');
    const concerned = concernedParts(bad.parts, stable.parts, voters, this.#parts.gate.voters);
    const refuse = () => refusals[isSilence ? 'reject' : 'withdraw'](concerned, stable.parts, why, voters);
    refuse();
    return this.#turns.run(async () => {
      const isOnTop = store.current!.revision !== bad.revision;
      // An operator's reload forgot it when it began, waits for programs now, and must not bring it back.
      if (!isOnTop && refusals.heldOf(bad.parts).size === 0) refuse();
      const isRefused = refusals.heldOf(store.current!.parts).size > 0;
      if (isOnTop && !isRefused) return;
      const reason = `revision ${bad.revision}: ${why}`;
      await this.#recorded({ cause: 'rollback', to: stable.revision, reason }, async () => {
        const snapshot = gate.passAgain(stable.parts);
        this.#layers.acceptParts(stable.parts);
        const facts = { rejectedBy, mend: 'change the source, or run `hotconf reload` to try it again' };
        this.#layers.reject(
          this.#layers.sourceIds,
          new DaemonError('subscriber_rejected', `its newest values were withdrawn: ${why}`, facts),
        );
        // What else the sources say was committed with it, or refused because of it, and is tried without it.
        const others = this.#layers.except(refusals.heldOf(this.#layers.partsOf(this.#layers.newest)));
        if (this.#layers.differ(others, this.#layers.accepted))
          this.#parts.settle.addAll(this.#layers.sourceIds, 'withdrawn');
        return { kind: 'committed', snapshot };
      });
    });
  }

  /** A program runs a revision of this epoch that is higher than any that there is: numbers begin anew. */
  outrun(revision: number): Promise<void> {
    return this.#turns.run(async () => {
      if (revision > (this.#parts.store.current?.revision ?? 0)) this.#parts.gate.renewEpoch();
    });
  }

  /** What a reload would give now, and what the programs say of it. Changes nothing. Shared as {@link reloadAll} is. */
  preview(signal: AbortSignal): Promise<Preview> {
    return this.#previews.run('', () => this.#look(signal));
  }

  async #look(signal: AbortSignal): Promise<Preview> {
    const layers = new LayerStore(this.#parts.freshSources());
    const request = fullRequest({ cause: 'operator' }, {}, this.#parts.deadlineMs, true);
    const load = async () => {
      await this.#inTime(layers.load(layers.sourceIds, request, signal), signal);
      return layers.partsOf(layers.newest);
    };
    try {
      return await this.#parts.gate.look(load, true, signal);
    } finally {
      await layers.close();
    }
  }

  /** What the sources say and is held back, since programs refused it. */
  held(): readonly HeldChange[] {
    return this.#parts.refusals.heldIn(this.#layers.partsOf(this.#layers.newest));
  }

  /** What is wrong with each source that is not well. */
  problems(): ReadonlyMap<string, DaemonError> {
    return this.#layers.problems();
  }

  async #reload(
    sourceIds: ReadonlySet<string>,
    request: Request,
    actor: Actor,
    signal: AbortSignal,
    burst?: Burst,
  ): Promise<ReloadOutcome> {
    const work = async () => {
      await this.#load(sourceIds, request, actor, signal);
      return this.#pending.commit(sourceIds, request, actor, signal);
    };
    const looked = { sources: [...sourceIds], changedAt: burst?.firstAt };
    return this.#recorded(actor, work, (error) => this.#layers.reject(sourceIds, error), looked, burst?.reasons);
  }

  /** Only a start that has nothing to serve meanwhile waits for a source that is not there yet. */
  #load(sourceIds: ReadonlySet<string>, request: Request, { cause }: Actor, signal: AbortSignal): Promise<void> {
    const { clock, onWaiting, startWaitMs, store } = this.#parts;
    const load = () => {
      const loading = this.#layers.load(sourceIds, request, signal);
      return this.#inTime(loading, signal).catch((error) => this.#tooLate(error, loading, sourceIds));
    };
    const waits = cause === 'start' && store.current === undefined;
    return waits ? loadOnceThere({ load, clock, onWaiting, waitMs: startWaitMs, signal }) : load();
  }

  /** Runs a task whose outcome is told; what it throws is a rejection. */
  async #recorded(
    actor: Actor,
    task: () => Promise<ReloadOutcome>,
    onRejected: (error: DaemonError) => void = () => {},
    { sources, changedAt }: Looked = {},
    hints: readonly string[] = [],
  ): Promise<ReloadOutcome> {
    const { clock, onStart, onEnd } = this.#parts;
    const startedAt = clock.monotonic();
    onStart(actor, hints);
    const outcome = await task().catch(async (thrown): Promise<ReloadOutcome> => {
      // A bug of ours must not take away what is served: it is one more rejected reload, told as what it is.
      const asBug = () => new DaemonError('internal', `a bug: ${(thrown as Error).message}`, { cause: thrown });
      return { kind: 'rejected', error: thrown instanceof DaemonError ? await this.#layers.located(thrown) : asBug() };
    });
    if (outcome.kind === 'rejected') onRejected(outcome.error);
    const isWithdrawn = this.held().some(({ kind }) => kind === 'withdrawn');
    const facts = { ...this.#parts, isWithdrawn, sources, startedAt, endedAt: clock.monotonic(), changedAt };
    if (outcome.kind === 'committed' && outcome.urgent) {
      const urgent = { kind: 'committed', snapshot: outcome.urgent } as const;
      onEnd(recordReload(urgent, actor, facts), urgent);
    }
    onEnd(recordReload(outcome, actor, facts), outcome);
    return outcome;
  }

  #inTime(loading: Promise<void>, signal: AbortSignal): Promise<void> {
    return inTime(loading, this.#parts.deadlineMs, this.#parts.clock, signal);
  }

  /** What is read after the deadline is no less true: it is looked at again when it comes. */
  #tooLate(error: unknown, loading: Promise<void>, sourceIds: ReadonlySet<string>): never {
    const again = () => this.#parts.settle.addAll(sourceIds, 'late');
    if (error instanceof DaemonError && error.code === 'deadline_exceeded') loading.then(again, again);
    throw error;
  }
}
