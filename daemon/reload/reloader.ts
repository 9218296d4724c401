import type { Issue } from '../../schemas/errors.ts';
import { compare, formatPaths } from '../../schemas/patch.ts';
import { DaemonError } from '../model/errors.ts';
import type { Burst, Layer } from '../model/layer.ts';
import { Merger } from '../model/merge.ts';
import type { Actor, Candidate, Cause, ReloadOutcome, ReloadRecord, Snapshot } from '../model/snapshot.ts';
import { type Clock, sleep, timestamp } from '../ops/clock.ts';
import type { LoadRequest, Source } from '../sources/source.ts';
import { LayerStore } from './layer-store.ts';
import type { SettleWindow } from './settle-window.ts';
import { SizeMeter } from './size-meter.ts';
import type { SnapshotStore } from './snapshot-store.ts';
import { type Validate, validateCandidate } from './validate-candidate.ts';

export interface ReloaderParts {
  /** Lowest priority first. */
  readonly sources: readonly Source[];
  /** Sources of their own for looking without touching. */
  readonly freshSources: () => readonly Source[];
  readonly settle: SettleWindow;
  readonly validate: Validate;
  readonly store: SnapshotStore;
  readonly clock: Clock;
  readonly deadlineMs: number;
  readonly minIntervalMs: number;
  readonly maxSnapshotBytes: number;
  readonly onStart: (actor: Actor) => void;
  readonly onEnd: (record: ReloadRecord, outcome: ReloadOutcome) => void;
}

/** What a reload would do now. */
export interface Preview {
  readonly valid: boolean;
  readonly issues: readonly Issue[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

/** How long a file may be missing or half-written. */
const graceMs = 1_000;
/** How long an automatic reload waits for a source that does not answer: it holds up the others. */
const patienceMs = 2_000;
/** ... and one that somebody asked for. */
const askedPatienceMs = 10_000;

/**
 * Turns bursts of hints into committed snapshots, one reload at a time. Everything before the commit works on values
 * that nobody else can see, so a failure needs no undo.
 */
export class Reloader {
  readonly #parts: ReloaderParts;
  readonly #layers: LayerStore;
  readonly #merger = new Merger();
  readonly #meter = new SizeMeter();
  #tail: Promise<unknown> = Promise.resolve();
  readonly #full = new Map<boolean, Promise<ReloadOutcome>>();

  constructor(parts: ReloaderParts) {
    this.#parts = parts;
    this.#layers = new LayerStore(parts.sources);
  }

  /** Reloads for each burst until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { settle, clock, minIntervalMs } = this.#parts;
    for await (const burst of settle.bursts(signal)) {
      const actor = { cause: this.#causeOf(burst) };
      await this.#exclusive(() =>
        this.#reload(burst.sourceIds, { fresh: false, acceptGone: false, graceMs, patienceMs }, actor, signal),
      );
      // What is hinted meanwhile waits in the settle window.
      await sleep(clock, minIntervalMs, signal);
    }
  }

  /**
   * Reads every source again, forgetting every cache. A call during such a reload joins it. A program may ask for it
   * too, but only an operator's makes files that are gone take their values with them.
   */
  reloadAll(actor: Actor, signal: AbortSignal): Promise<ReloadOutcome> {
    const acceptGone = actor.cause !== 'client';
    const isStart = actor.cause === 'start';
    // A source that does not answer says so itself, and better than the deadline can.
    const patienceMs = isStart ? this.#parts.deadlineMs * 0.9 : this.#askedPatienceMs;
    const request = { fresh: true, acceptGone, graceMs: isStart ? graceMs : 0, patienceMs };
    let full = this.#full.get(acceptGone);
    if (!full) {
      full = this.#exclusive(() => this.#reload(this.#layers.sourceIds, request, actor, signal));
      this.#full.set(acceptGone, full);
      full.finally(() => this.#full.delete(acceptGone)).catch(() => {});
    }
    return full;
  }

  /** Reads what was hinted of these sources now, without waiting for the settle window. */
  reloadNow(sourceIds: ReadonlySet<string>, actor: Actor, signal: AbortSignal): Promise<ReloadOutcome> {
    const request = { fresh: false, acceptGone: false, graceMs, patienceMs: this.#askedPatienceMs };
    return this.#exclusive(() => this.#reload(sourceIds, request, actor, signal));
  }

  /** What a reload would give now. Changes nothing. */
  async preview(signal: AbortSignal): Promise<Preview> {
    const layers = new LayerStore(this.#parts.freshSources());
    const nothing = { changed: [], removed: [] };
    try {
      const request = { fresh: true, acceptGone: true, graceMs: 0, patienceMs: this.#askedPatienceMs };
      await this.#inTime(layers.load(layers.sourceIds, request, signal), signal);
      const { settings } = this.#candidate(layers, layers.newest);
      const { changed, removed } = compare(this.#parts.store.current?.settings ?? {}, settings);
      return { valid: true, issues: [], changed: formatPaths(changed), removed: formatPaths(removed) };
    } catch (error) {
      if (!(error instanceof DaemonError)) throw error;
      return { valid: false, issues: error.issues, ...nothing };
    } finally {
      await layers.close();
    }
  }

  /** What is wrong with each source that is not well. */
  problems(): ReadonlyMap<string, DaemonError> {
    return this.#layers.problems();
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
    request: LoadRequest,
    actor: Actor,
    signal: AbortSignal,
  ): Promise<ReloadOutcome> {
    const { clock, onStart, onEnd } = this.#parts;
    const startedAt = clock.monotonic();
    onStart(actor);
    const outcome = await this.#attempt(sourceIds, request, actor, signal);
    onEnd(this.#record(outcome, actor, clock.monotonic() - startedAt), outcome);
    return outcome;
  }

  async #attempt(
    sourceIds: ReadonlySet<string>,
    request: LoadRequest,
    { cause }: Actor,
    signal: AbortSignal,
  ): Promise<ReloadOutcome> {
    try {
      const loading = this.#layers.load(sourceIds, request, signal);
      await this.#inTime(loading, signal).catch((error) => this.#tooLate(error, loading, sourceIds));
      return request.fresh ? this.#commit(this.#layers.newest, cause) : this.#commitBest(sourceIds, cause);
    } catch (thrown) {
      // A bug of ours must not take away what is served: it is one more rejected reload, told as what it is.
      const error =
        thrown instanceof DaemonError
          ? thrown
          : new DaemonError('internal', `a bug: ${(thrown as Error).message}`, { cause: thrown });
      this.#layers.reject(sourceIds, error);
      return { kind: 'rejected', error };
    }
  }

  /** With everything that is pending from earlier bursts, or else with this burst alone. */
  #commitBest(sourceIds: ReadonlySet<string>, cause: Cause): ReloadOutcome {
    const alone = this.#layers.only(sourceIds);
    try {
      return this.#commit(this.#layers.newest, cause);
    } catch (error) {
      if (!(error instanceof DaemonError) || !this.#differ(alone, this.#layers.newest)) throw error;
      return this.#commit(alone, cause);
    }
  }

  #differ(a: ReadonlyMap<string, Layer>, b: ReadonlyMap<string, Layer>): boolean {
    const [left, right] = [this.#layers.partsOf(a), this.#layers.partsOf(b)];
    return left.length !== right.length || left.some(({ settings }, i) => settings !== right[i]!.settings);
  }

  #commit(layers: ReadonlyMap<string, Layer>, cause: Cause): ReloadOutcome {
    const outcome = this.#parts.store.commit(this.#candidate(this.#layers, layers), cause);
    this.#layers.accept(layers);
    return outcome;
  }

  /** Merged and validated. Throws `settings_invalid` or `snapshot_too_large`. */
  #candidate(store: LayerStore, layers: ReadonlyMap<string, Layer>): Candidate {
    const parts = store.partsOf(layers);
    const settings = this.#merger.merge(parts.map((part) => part.settings));
    validateCandidate(this.#parts.validate, { settings, parts });
    const bytes = this.#meter.measure(settings);
    const { maxSnapshotBytes } = this.#parts;
    if (bytes > maxSnapshotBytes) {
      throw new DaemonError(
        'snapshot_too_large',
        `the settings have ${bytes} bytes as JSON, over limits.snapshotSize of ${maxSnapshotBytes}`,
        { mend: 'raise limits.snapshotSize' },
      );
    }
    return { settings, parts };
  }

  async #inTime(loading: Promise<void>, signal: AbortSignal): Promise<void> {
    const { clock, deadlineMs } = this.#parts;
    const done = new AbortController();
    const late = sleep(clock, deadlineMs, AbortSignal.any([signal, done.signal])).then(() => {
      if (done.signal.aborted) return;
      if (signal.aborted) throw new DaemonError('shutting_down', 'the daemon is stopping');
      throw new DaemonError('deadline_exceeded', `the sources were not read within ${deadlineMs} ms`, {
        mend: 'raise reload.deadline, or see which source is slow in `hotconf status`',
      });
    });
    try {
      await Promise.race([loading, late]);
    } finally {
      done.abort();
    }
  }

  /** What is read after the deadline is no less true: it is looked at again when it comes. */
  #tooLate(error: unknown, loading: Promise<void>, sourceIds: ReadonlySet<string>): never {
    const again = () => {
      for (const sourceId of sourceIds) this.#parts.settle.add({ sourceId, reason: 'late' });
    };
    if (error instanceof DaemonError && error.code === 'deadline_exceeded') loading.then(again, again);
    throw error;
  }

  #record(outcome: ReloadOutcome, actor: Actor, durationMs: number): ReloadRecord {
    const snapshot: Snapshot | undefined = this.#parts.store.current;
    const isCommit = outcome.kind === 'committed';
    return {
      at: timestamp(this.#parts.clock),
      outcome: outcome.kind,
      revision: snapshot?.revision ?? 0,
      epoch: this.#parts.store.epoch,
      ...actor,
      durationMs: Math.round(durationMs * 100) / 100,
      changed: isCommit ? outcome.snapshot.changed : [],
      removed: isCommit ? outcome.snapshot.removed : [],
      ...(outcome.kind === 'rejected' && { error: factsOf(outcome.error) }),
    };
  }

  #causeOf({ sourceIds }: Burst): Cause {
    const kinds = this.#parts.sources.filter(({ id }) => sourceIds.has(id)).map(({ kind }) => kind);
    if (kinds.includes('gcp')) return 'secret-manager';
    return kinds.every((kind) => kind === 'env') ? 'env' : 'file';
  }
}

function factsOf(error: DaemonError): NonNullable<ReloadRecord['error']> {
  return { code: error.code, message: error.message, issues: error.facts.issues ?? [] };
}
