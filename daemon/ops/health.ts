import type { DaemonState } from '../../schemas/wire.ts';
import type { DaemonError } from '../model/errors.ts';
import { type Clock, timestamp } from './clock.ts';
import type { Log } from './log.ts';

export interface HealthParts {
  readonly clock: Clock;
  readonly log: Log;
  /** Called when the state is another one. */
  readonly onChange: (state: DaemonState) => void;
}

/** What is wrong now: stale sources, and what else makes the daemon less than it should be. */
export class Health {
  readonly #parts: HealthParts;
  #problems: ReadonlyMap<string, DaemonError> = new Map();
  readonly #degraded = new Map<string, string>();
  readonly #since = new Map<string, string>();
  #state: DaemonState;

  constructor(parts: HealthParts) {
    this.#parts = parts;
    this.#state = { kind: 'ready', since: timestamp(parts.clock), sources: [] };
  }

  get state(): DaemonState {
    return this.#state;
  }

  /** Since when a source is stale, and why; `undefined` for one that is well. */
  staleness(sourceId: string): { since: string; code: string; message: string } | undefined {
    const problem = this.#problems.get(sourceId);
    return problem && { since: this.#since.get(sourceId)!, code: problem.code, message: problem.message };
  }

  /** Why the daemon is degraded, for people. */
  get reasons(): readonly string[] {
    return [...this.#degraded.values()];
  }

  setProblems(problems: ReadonlyMap<string, DaemonError>): void {
    const { clock, log } = this.#parts;
    const before = this.#problems;
    this.#problems = new Map(problems);
    for (const [sourceId, { code, message }] of problems) {
      if (before.get(sourceId)?.message === message) continue;
      if (!before.has(sourceId)) this.#since.set(sourceId, timestamp(clock));
      log('warn', 'source_stale', `${sourceId} keeps its last good values: ${message}`, { sourceId, errorType: code });
    }
    for (const sourceId of before.keys()) {
      if (problems.has(sourceId)) continue;
      this.#since.delete(sourceId);
      log('info', 'source_recovered', `${sourceId} is current again`, { sourceId });
    }
    this.#update();
  }

  /** Sets or clears one reason for being degraded. */
  setDegraded(what: string, reason: string | undefined): void {
    if (this.#degraded.get(what) === reason) return;
    if (reason === undefined) this.#degraded.delete(what);
    else this.#degraded.set(what, reason);
    this.#update();
  }

  #update(): void {
    const sources = [...this.#problems].map(([id, { code }]) => ({ id, code }));
    const kind = sources.length > 0 ? 'stale' : this.#degraded.size > 0 ? 'degraded' : 'ready';
    if (kind === this.#state.kind && JSON.stringify(sources) === JSON.stringify(this.#state.sources)) return;
    const since = kind === this.#state.kind ? this.#state.since : timestamp(this.#parts.clock);
    this.#state = { kind, since, sources };
    this.#parts.onChange(this.#state);
  }
}
