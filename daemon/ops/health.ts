import type { DaemonState } from '../../schemas/wire.ts';
import type { DaemonError } from '../model/errors.ts';
import { type Clock, timestamp } from './clock.ts';
import type { Log } from './log.ts';

/** One thing that is wrong now. */
export interface Trouble {
  /** `source:<id>`, or what else it concerns: `watch`, `state`, `audit`, ... */
  readonly key: string;
  readonly message: string;
  /** ISO 8601. */
  readonly since: string;
  /** The error's code, where it is a source's. */
  readonly code?: string;
}

export interface HealthParts {
  readonly clock: Clock;
  readonly log: Log;
  /** Called when the state is another one. */
  readonly onChange: (state: DaemonState) => void;
  /** Called when something begins to be wrong, is wrong in another way, or is over. */
  readonly onTrouble?: (trouble: Trouble, isOver: boolean) => void;
  /** Takes secrets out of what is told. */
  readonly clean?: (text: string) => string;
}

const sourcePrefix = 'source:';

/** What is wrong now: stale sources, and what else makes the daemon less than it should be. */
export class Health {
  readonly #parts: HealthParts;
  readonly #troubles = new Map<string, Trouble>();
  readonly #untold: [Trouble, boolean][] = [];
  #state: DaemonState;

  constructor(parts: HealthParts) {
    this.#parts = parts;
    this.#state = { kind: 'ready', since: timestamp(parts.clock), sources: [] };
  }

  get state(): DaemonState {
    return this.#state;
  }

  /** Everything that is wrong. */
  get troubles(): readonly Trouble[] {
    return [...this.#troubles.values()];
  }

  /** Since when a source is stale, and why; `undefined` for one that is well. */
  staleness(sourceId: string): { since: string; code: string; message: string } | undefined {
    const trouble = this.#troubles.get(sourcePrefix + sourceId);
    return trouble && { since: trouble.since, code: trouble.code!, message: trouble.message };
  }

  /** Why the daemon is degraded, for people. */
  get reasons(): readonly string[] {
    return this.#degrading.map(({ message }) => message);
  }

  /** Why the daemon is degraded, by key. */
  get degradations(): readonly string[] {
    return this.#degrading.map(({ key }) => key);
  }

  get #degrading(): readonly Trouble[] {
    return this.troubles.filter(({ key }) => !key.startsWith(sourcePrefix));
  }

  /**
   * Replaces what is wrong with the sources. `told` is what the record of a rejected reload says: a source that it makes
   * stale gets no record of its own.
   */
  setProblems(problems: ReadonlyMap<string, DaemonError>, told?: string): void {
    const { log } = this.#parts;
    for (const [sourceId, { code, message }] of problems) {
      if (!this.#set(sourcePrefix + sourceId, message, code)) continue;
      if (message === told) continue;
      log('warn', 'source_stale', `${sourceId} keeps its last good values: ${message}`, { sourceId, errorType: code });
    }
    for (const key of [...this.#troubles.keys()].filter((name) => name.startsWith(sourcePrefix))) {
      const sourceId = key.slice(sourcePrefix.length);
      if (problems.has(sourceId)) continue;
      this.#set(key, undefined);
      log('info', 'source_recovered', `${sourceId} is current again`, { sourceId });
    }
    this.#update();
  }

  /** Sets or clears one reason for being degraded. */
  setDegraded(what: string, reason: string | undefined): void {
    if (this.#set(what, reason)) this.#update();
  }

  /** False when nothing is new. */
  #set(key: string, said: string | undefined, code?: string): boolean {
    const { clock, clean = (text) => text } = this.#parts;
    const message = said === undefined ? undefined : clean(said);
    const before = this.#troubles.get(key);
    if (before?.message === message) return false;
    if (message === undefined) {
      this.#troubles.delete(key);
      this.#untold.push([before!, true]);
    } else {
      // Another problem begins now, but an outage whose status varies is one problem.
      const isSameOutage = before?.code === code && code?.endsWith('_unavailable');
      const since = before && isSameOutage ? before.since : timestamp(clock);
      const trouble = { key, message, since, ...(code && { code }) };
      this.#troubles.set(key, trouble);
      this.#untold.push([trouble, false]);
    }
    return true;
  }

  #update(): void {
    this.#setState();
    // Who is told of trouble may ask for the state, which knows of it by now.
    for (const told of this.#untold.splice(0)) this.#parts.onTrouble?.(...told);
  }

  #setState(): void {
    const stale = this.troubles.filter(({ key }) => key.startsWith(sourcePrefix));
    const sources = stale.map(({ key, code }) => ({ id: key.slice(sourcePrefix.length), code: code! }));
    const kind = sources.length > 0 ? 'stale' : this.#troubles.size > 0 ? 'degraded' : 'ready';
    if (kind === this.#state.kind && JSON.stringify(sources) === JSON.stringify(this.#state.sources)) return;
    const since = kind === this.#state.kind ? this.#state.since : timestamp(this.#parts.clock);
    this.#state = { kind, since, sources };
    this.#parts.onChange(this.#state);
  }
}
