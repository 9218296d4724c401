import type { Rejecting } from '../../schemas/wire.ts';
import { DaemonError } from '../model/errors.ts';
import type { Burst, Layer, LayerPart } from '../model/layer.ts';
import type { Actor, Cause, KeptSnapshot, ReloadOutcome, ReloadRecord, Snapshot } from '../model/snapshot.ts';
import { type Clock, sleep, timestamp } from '../ops/clock.ts';
import type { LoadRequest, Source } from '../sources/source.ts';
import type { CommitGate, Licence, PinKeeper, Preview } from './commit-gate.ts';
import { inTime } from './in-time.ts';
import { LayerStore } from './layer-store.ts';
import { type Looked, recordReload } from './record-reload.ts';
import { Retry } from './retry.ts';
import type { SettleWindow } from './settle-window.ts';
import type { SnapshotStore } from './snapshot-store.ts';

export interface ReloaderParts {
  /** Lowest priority first. */
  readonly sources: readonly Source[];
  /** Sources of their own for looking without touching. */
  readonly freshSources: () => readonly Source[];
  readonly settle: SettleWindow;
  readonly store: SnapshotStore;
  readonly gate: CommitGate;
  readonly pins: PinKeeper;
  /** The parts of an earlier revision that is kept; `undefined` when it is gone. */
  readonly partsOf: (revision: number) => Promise<readonly LayerPart[] | undefined>;
  readonly clock: Clock;
  readonly random?: () => number;
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

type Request = LoadRequest & Licence;

/** What an operator wants to go back to. */
export interface RollbackRequest {
  readonly to: number;
  /** Only when this revision is served. */
  readonly expect?: number | undefined;
  /** The programs that try candidates are not asked. */
  readonly force?: boolean | undefined;
}

/** How long a file may be missing or half-written. */
const graceMs = 1_000;
/** How long an automatic reload waits for a source that does not answer: it holds up the others. */
const patienceMs = 2_000;
/** ... and one that somebody asked for. */
const askedPatienceMs = 10_000;
/** ... and a start that has something to serve meanwhile. */
const restoredPatienceMs = 800;
/** How often a start looks again at a source that cannot be read yet. */
const startAgainMs = 1_000;
/** What a source fails by that is not there yet: a late mount, a network that comes up, credentials. */
const mayCome = /^(source_missing|source_unreadable|secret_.*|google_credentials|deadline_exceeded)$/;
/** A program that refused a candidate for its own reasons may take it later. */
const mayPass: ReadonlySet<string> = new Set(['subscriber_rejected', 'subscriber_silent']);

/**
 * Turns bursts of hints into committed snapshots, one reload at a time. Everything before the commit works on values
 * that nobody else can see, so a failure needs no undo.
 */
export class Reloader {
  readonly #parts: ReloaderParts;
  readonly #layers: LayerStore;
  readonly #retry: Retry;
  #tail: Promise<unknown> = Promise.resolve();
  #preview: Promise<Preview> | undefined;
  readonly #full = new Map<string, Promise<ReloadOutcome>>();

  constructor(parts: ReloaderParts) {
    const { sources, clock, random = Math.random } = parts;
    this.#parts = parts;
    this.#layers = new LayerStore(sources);
    this.#retry = new Retry({ clock, random, act: () => this.#hint(this.#layers.sourceIds, 'retry') });
  }

  /** Serves what was served before a restart, until the sources have been read. Throws `settings_invalid`. */
  restore(kept: KeptSnapshot): Snapshot {
    const { store, gate } = this.#parts;
    const snapshot = store.restore(kept, gate.candidate(kept.parts));
    this.#layers.restore(kept.parts);
    return snapshot;
  }

  /** Reloads for each burst until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { settle, clock, minIntervalMs } = this.#parts;
    for await (const burst of settle.bursts(signal)) {
      await this.#exclusive(() => {
        const actor = { cause: this.#causeOf(burst) };
        return this.#reload(burst.sourceIds, this.#request(), actor, signal, burst);
      });
      // What is hinted meanwhile waits in the settle window.
      await sleep(clock, minIntervalMs, signal);
    }
  }

  /**
   * Reads every source again, forgetting every cache. A call during such a reload joins it. A program may ask for it
   * too, but only an operator's makes files that are gone take their values with them, and ends a pin.
   */
  reloadAll(actor: Actor, signal: AbortSignal, acceptMissing = false): Promise<ReloadOutcome> {
    const isOperator = actor.cause !== 'client';
    const name = fullName(isOperator, acceptMissing);
    let full = this.#full.get(name);
    if (!full) {
      const endsPin = isOperator && actor.cause !== 'start';
      const request = {
        ...this.#freshRequest(actor),
        acceptGone: isOperator && !this.#isRestoring(actor),
        acceptMissing,
        endsPin,
      };
      full = this.#exclusive(() => {
        if (endsPin) this.#parts.gate.endQuarantine();
        return this.#reload(this.#layers.sourceIds, request, actor, signal);
      });
      this.#full.set(name, full);
      full.finally(() => this.#full.delete(name)).catch(() => {});
    }
    return full;
  }

  /** An operator's {@link reloadAll} would join one. */
  isReloadingAll(acceptMissing: boolean): boolean {
    return this.#full.has(fullName(true, acceptMissing));
  }

  /** Reads what was hinted of these sources now, without waiting for the settle window. */
  reloadNow(sourceIds: ReadonlySet<string>, actor: Actor, signal: AbortSignal): Promise<ReloadOutcome> {
    const request = this.#request({ patienceMs: this.#askedPatienceMs });
    return this.#exclusive(() => this.#reload(sourceIds, request, actor, signal));
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
    return this.#exclusive(async () => {
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
        const { by, reason } = actor;
        const since = timestamp(this.#parts.clock);
        this.#parts.pins.pin = { revision: snapshot.revision, to, since, ...(by && { by }), ...(reason && { reason }) };
        return { kind: snapshot.revision === revision ? 'unchanged' : 'committed', snapshot };
      });
    });
  }

  /** Lets the sources flow again. */
  unpin(actor: Actor, signal: AbortSignal): Promise<ReloadOutcome> {
    const request = this.#request({ patienceMs: this.#askedPatienceMs, endsPin: true });
    return this.#exclusive(() => this.#reload(this.#layers.sourceIds, request, actor, signal));
  }

  /**
   * Takes a snapshot back that programs could not live with: what was served before is committed again, as a new
   * revision. Does nothing when another snapshot is served by now.
   */
  withdraw(bad: Snapshot, stable: Snapshot, rejectedBy: readonly Rejecting[]): Promise<void> {
    return this.#exclusive(async () => {
      if (this.#parts.store.current?.revision !== bad.revision) return;
      const [first] = rejectedBy;
      const why = `${first?.name || 'a program'} (pid ${first?.pid}) rejects it: ${first?.message}`;
      await this.#recorded(
        { cause: 'rollback', to: stable.revision, reason: `revision ${bad.revision}: ${why}` },
        async () => {
          this.#parts.gate.quarantine(bad, stable, why);
          const snapshot = this.#parts.gate.passAgain(stable.parts);
          this.#layers.acceptParts(stable.parts);
          const facts = { rejectedBy, mend: 'change the source, or run `hotconf reload` to try it again' };
          this.#layers.reject(
            this.#layers.sourceIds,
            new DaemonError('subscriber_rejected', `its newest values were withdrawn: ${why}`, facts),
          );
          return { kind: 'committed', snapshot };
        },
      );
    });
  }

  /** What a reload would give now, and what the programs say of it. Changes nothing. A call during another joins it. */
  preview(signal: AbortSignal): Promise<Preview> {
    this.#preview ??= this.#look(signal).finally(() => {
      this.#preview = undefined;
    });
    return this.#preview;
  }

  async #look(signal: AbortSignal): Promise<Preview> {
    const layers = new LayerStore(this.#parts.freshSources());
    const request = { ...this.#freshRequest({ cause: 'operator' }), acceptGone: true };
    const load = async () => {
      await this.#inTime(layers.load(layers.sourceIds, request, signal), signal);
      return layers.partsOf(layers.newest);
    };
    try {
      return await this.#parts.gate.look(load, signal);
    } finally {
      await layers.close();
    }
  }

  /** What is wrong with each source that is not well. */
  problems(): ReadonlyMap<string, DaemonError> {
    return this.#layers.problems();
  }

  #request(more: Partial<Request> = {}): Request {
    return { fresh: false, acceptGone: false, acceptMissing: false, endsPin: false, graceMs, patienceMs, ...more };
  }

  #freshRequest(actor: Actor): Request {
    const { deadlineMs } = this.#parts;
    if (this.#isRestoring(actor)) return this.#request({ fresh: true, patienceMs: restoredPatienceMs });
    if (actor.cause !== 'start') return this.#request({ fresh: true, graceMs: 0, patienceMs: this.#askedPatienceMs });
    // A source that does not answer says so itself, and better than the deadline can.
    return this.#request({ fresh: true, patienceMs: deadlineMs * 0.9 });
  }

  /** It is the start, and something is served already. */
  #isRestoring({ cause }: Actor): boolean {
    return cause === 'start' && this.#parts.store.current !== undefined;
  }

  get #askedPatienceMs(): number {
    return Math.min(askedPatienceMs, this.#parts.deadlineMs * 0.9);
  }

  #exclusive<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(task);
    this.#tail = result.catch(() => {});
    return result;
  }

  async #reload(
    sourceIds: ReadonlySet<string>,
    request: Request,
    actor: Actor,
    signal: AbortSignal,
    burst?: Burst,
  ): Promise<ReloadOutcome> {
    const load = async () => {
      await this.#load(sourceIds, request, signal, this.#waitMs(actor));
      return request.fresh
        ? this.#commit(this.#layers.newest, request, actor, signal)
        : this.#commitBest(sourceIds, request, actor, signal);
    };
    const onRejected = (error: DaemonError) => this.#layers.reject(sourceIds, error);
    const looked = { sources: [...sourceIds], changedAt: burst?.firstAt };
    const outcome = await this.#recorded(actor, load, onRejected, looked, burst?.reasons);
    if (outcome.kind !== 'rejected') this.#retry.worked();
    else if (mayPass.has(outcome.error.code)) this.#retry.failed();
    return outcome;
  }

  /** Loads, and for as long as is to be waited loads again what is not there yet. */
  async #load(
    sourceIds: ReadonlySet<string>,
    request: Request,
    signal: AbortSignal,
    waitMs: number,
    told?: string,
  ): Promise<void> {
    const { clock, onWaiting } = this.#parts;
    const startedAt = clock.monotonic();
    const loading = this.#layers.load(sourceIds, request, signal);
    try {
      await this.#inTime(loading, signal).catch((error) => this.#tooLate(error, loading, sourceIds));
    } catch (error) {
      const isComing = error instanceof DaemonError && mayCome.test(error.code);
      if (waitMs <= 0 || !isComing || signal.aborted) throw error;
      if (error.message !== told) onWaiting(error);
      await sleep(clock, Math.min(startAgainMs, waitMs), signal);
      return this.#load(sourceIds, request, signal, waitMs - (clock.monotonic() - startedAt), error.message);
    }
  }

  /** Only a start that has nothing to serve meanwhile waits. */
  #waitMs({ cause }: Actor): number {
    return cause === 'start' && this.#parts.store.current === undefined ? this.#parts.startWaitMs : 0;
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
    const times = { startedAt, endedAt: clock.monotonic(), changedAt };
    onEnd(recordReload(outcome, actor, { ...this.#parts, sources, ...times }), outcome);
    return outcome;
  }

  /** With everything that is pending from earlier bursts, or else with this burst alone. */
  async #commitBest(
    sourceIds: ReadonlySet<string>,
    request: Request,
    actor: Actor,
    signal: AbortSignal,
  ): Promise<ReloadOutcome> {
    const alone = this.#layers.only(sourceIds);
    try {
      return await this.#commit(this.#layers.newest, request, actor, signal);
    } catch (error) {
      if (!(error instanceof DaemonError) || !this.#differ(alone, this.#layers.newest)) throw error;
      return this.#commit(alone, request, actor, signal);
    }
  }

  #differ(a: ReadonlyMap<string, Layer>, b: ReadonlyMap<string, Layer>): boolean {
    const [left, right] = [this.#layers.partsOf(a), this.#layers.partsOf(b)];
    return left.length !== right.length || left.some(({ settings }, i) => settings !== right[i]!.settings);
  }

  async #commit(
    layers: ReadonlyMap<string, Layer>,
    request: Request,
    { cause }: Actor,
    signal: AbortSignal,
  ): Promise<ReloadOutcome> {
    const { isHeld, ...outcome } = await this.#parts.gate.pass(this.#layers.partsOf(layers), request, cause, signal);
    if (!isHeld) this.#layers.accept(layers);
    return outcome;
  }

  #inTime(loading: Promise<void>, signal: AbortSignal): Promise<void> {
    return inTime(loading, this.#parts.deadlineMs, this.#parts.clock, signal);
  }

  /** What is read after the deadline is no less true: it is looked at again when it comes. */
  #tooLate(error: unknown, loading: Promise<void>, sourceIds: ReadonlySet<string>): never {
    const again = () => this.#hint(sourceIds, 'late');
    if (error instanceof DaemonError && error.code === 'deadline_exceeded') loading.then(again, again);
    throw error;
  }

  #hint(sourceIds: ReadonlySet<string>, reason: string): void {
    for (const sourceId of sourceIds) this.#parts.settle.add({ sourceId, reason });
  }

  #causeOf({ sourceIds }: Burst): Cause {
    const kinds = this.#parts.sources.filter(({ id }) => sourceIds.has(id)).map(({ kind }) => kind);
    if (kinds.includes('gcp')) return 'secret-manager';
    return kinds.every((kind) => kind === 'env') ? 'env' : 'file';
  }
}

const fullName = (isOperator: boolean, acceptMissing: boolean) => `${isOperator} ${acceptMissing}`;
