import { DaemonError } from '../model/errors.ts';
import type { Layer, LayerPart } from '../model/layer.ts';
import { partKey, settingsByKey } from '../model/parts.ts';
import type { Actor, ReloadOutcome } from '../model/snapshot.ts';
import type { Clock } from '../ops/clock.ts';
import type { CommitGate, Waiting } from './commit-gate.ts';
import type { LayerStore } from './layer-store.ts';
import { OpenVerifications } from './open-verifications.ts';
import type { Refusals } from './refusals.ts';
import type { Request } from './reload-request.ts';
import type { SnapshotStore } from './snapshot-store.ts';
import type { Turns } from './turns.ts';
import { concernedParts } from './verify-candidate.ts';

export interface PendingCommitsParts {
  readonly layers: LayerStore;
  readonly gate: CommitGate;
  readonly refusals: Refusals;
  readonly store: SnapshotStore;
  readonly turns: Turns;
  readonly clock: Clock;
}

type Layers = ReadonlyMap<string, Layer>;

interface Attempt extends Waiting {
  readonly request: Request;
  readonly actor: Actor;
  readonly signal: AbortSignal;
  /** Keys of the parts that this reload has read anew. */
  readonly touched: ReadonlySet<string>;
}

const nothing: ReadonlySet<string> = new Set();
/** How programs refuse a candidate. */
const byPrograms: ReadonlySet<string> = new Set(['subscriber_rejected', 'subscriber_silent']);
/** What a program said of a content counts for so long where another program asks for a reload. */
const rememberedMs = 60_000;

/**
 * Decides what of the pending parts is committed, within the turn of a reload. While programs are asked, the turn is
 * given up: other reloads commit what does not concern those programs, and what they do not decide about does not wait.
 */
export class PendingCommits {
  readonly #parts: PendingCommitsParts;
  readonly #open = new OpenVerifications();

  constructor(parts: PendingCommitsParts) {
    this.#parts = parts;
  }

  /**
   * With everything that is pending but for what programs refused or are being asked about, or else with what these
   * sources have just given alone, and with what is due to be tried again. Throws why it does not pass.
   */
  async commit(
    sourceIds: ReadonlySet<string>,
    request: Request,
    actor: Actor,
    signal: AbortSignal,
  ): Promise<ReloadOutcome> {
    const { layers, clock } = this.#parts;
    const since = clock.monotonic() - (actor.cause === 'client' ? rememberedMs : 0);
    const touched = layers.touched(sourceIds);
    const whileAsked: Waiting['whileAsked'] = (...asked) => this.#whileAsked(request, ...asked);
    const attempt = { request, actor, signal, touched, since, whileAsked };
    for (;;) {
      const outcome = await this.#try(attempt);
      if (outcome) return outcome;
    }
  }

  /** `undefined`: something else was committed meanwhile, or has to be over first. */
  async #try(attempt: Attempt): Promise<ReloadOutcome | undefined> {
    const { layers, refusals } = this.#parts;
    if (layers.accepted.size === 0) return this.#commit(layers.newest, attempt);
    const { triesRefused } = attempt.request;
    // What is tried again anyway holds back nothing, and waits for nobody.
    const busy = triesRefused ? nothing : this.#open.keys;
    if ([...attempt.touched].some((key) => busy.has(key))) return this.#waitForOthers(attempt.request);
    const newest = layers.partsOf(layers.newest);
    if (!triesRefused) refusals.keepOnly(newest);
    const held = triesRefused ? nothing : refusals.heldOf(newest);
    let chosen = triesRefused ? layers.newest : layers.except(new Set([...held, ...busy]));
    let refused: DaemonError | undefined;
    for (;;) {
      try {
        const outcome = await this.#commit(chosen, attempt);
        if (!outcome) return undefined;
        if (refused && outcome.kind === 'unchanged') throw refused;
        return refused ? this.#without(outcome, refused) : this.#withHeld(outcome, held, attempt);
      } catch (error) {
        if (!(error instanceof DaemonError)) throw error;
        refused ??= error;
        // What those programs have no say in goes on without the rest.
        const rest = layers.except(new Set([...refusals.heldOf(newest), ...busy]));
        if (!byPrograms.has(error.code) || !this.#isLess(rest, chosen)) {
          if (triesRefused) throw refused;
          return this.#tryAlone(attempt, chosen, held, busy, refused);
        }
        chosen = rest;
      }
    }
  }

  async #tryAlone(
    attempt: Attempt,
    all: Layers,
    held: ReadonlySet<string>,
    busy: ReadonlySet<string>,
    error: DaemonError,
  ): Promise<ReloadOutcome | undefined> {
    const { layers, refusals } = this.#parts;
    const names = [...refusals.dueOf(layers.partsOf(layers.newest)), ...attempt.touched];
    const alone = layers.withOnly(new Set(names.filter((name) => !held.has(name) && !busy.has(name))));
    if (!this.#isLess(alone, all)) throw error;
    const located = await layers.located(error);
    const outcome = await this.#commit(alone, attempt);
    return outcome && this.#without(outcome, located);
  }

  #isLess(some: Layers, all: Layers): boolean {
    const { layers } = this.#parts;
    return layers.differ(some, all) && layers.differ(some, layers.accepted);
  }

  /** Committed without what was refused. */
  #without(outcome: ReloadOutcome, refused: DaemonError): ReloadOutcome {
    const { layers } = this.#parts;
    layers.reject(layers.sourceIds, refused);
    return outcome.kind === 'committed' ? { ...outcome, refused } : outcome;
  }

  /** A load that has just read what programs refused before, and gave nothing else, is rejected for that. */
  #withHeld(outcome: ReloadOutcome, held: ReadonlySet<string>, { touched }: Attempt): ReloadOutcome {
    const { refusals, layers } = this.#parts;
    if (![...held].some((key) => touched.has(key))) return outcome;
    const error = refusals.refusalOf(layers.partsOf(layers.newest))!;
    layers.reject(layers.sourceIds, error);
    if (outcome.kind === 'committed') return { ...outcome, refused: error };
    return outcome.kind === 'unchanged' ? { kind: 'rejected', error } : outcome;
  }

  async #commit(layers: Layers, attempt: Attempt): Promise<ReloadOutcome | undefined> {
    const { gate, refusals, store } = this.#parts;
    const { request, actor, signal } = attempt;
    const parts = this.#parts.layers.partsOf(layers);
    const base = store.current?.parts ?? [];
    try {
      const passed = await gate.pass(parts, request, actor.cause, signal, attempt);
      if (!passed) return undefined;
      const { isHeld, ...outcome } = passed;
      if (!isHeld) {
        this.#parts.layers.accept(layers);
        // What was withdrawn while this was read is in what is served, until the withdrawal has its turn.
        if (outcome.kind === 'committed') refusals.passed(parts);
      }
      return outcome;
    } catch (error) {
      if (error instanceof DaemonError && byPrograms.has(error.code) && error.facts.refusers) {
        const { refusers } = error.facts;
        refusals.reject(concernedParts(parts, base, refusers, gate.voters), base, error.message, refusers);
      }
      throw error;
    }
  }

  async #whileAsked<T>(
    request: Request,
    views: readonly string[],
    parts: readonly LayerPart[],
    ask: () => Promise<T>,
  ): Promise<T | undefined> {
    if (this.#open.isAsking(views)) return this.#waitForOthers(request);
    const keys = changedKeys(this.#parts.store.current?.parts ?? [], parts);
    // It is open until this reload has the turn again: who comes between must not ask the same once more.
    return this.#open.run(views, keys, () => this.#aside(request, ask));
  }

  #waitForOthers(request: Request): Promise<undefined> {
    return this.#aside(request, () => this.#open.nextEnd()).then(() => undefined);
  }

  #aside<T>(request: Request, wait: () => Promise<T>): Promise<T> {
    const over = this.#parts.turns.aside(wait);
    request.onAside?.();
    return over;
  }
}

function changedKeys(before: readonly LayerPart[], after: readonly LayerPart[]): ReadonlySet<string> {
  const [was, is] = [settingsByKey(before), settingsByKey(after)];
  const keys = new Set([...before, ...after].map(partKey));
  return new Set([...keys].filter((key) => was.get(key) !== is.get(key)));
}
