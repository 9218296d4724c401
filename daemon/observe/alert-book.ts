import { type Clock, timestamp } from '../ops/clock.ts';
import type { Happening } from './happenings.ts';

/** What somebody is to be told. Holds no secret value. */
export interface Alert {
  /** What it is about: `reload`, `rollback`, `quarantine`, `source:<id>`, `audit`, `last-known-good`, ... */
  readonly key: string;
  /** `event`: it has happened, and is not over some time. */
  readonly state: 'firing' | 'resolved' | 'event';
  readonly summary: string;
  /** When it began; ISO 8601. */
  readonly since: string;
}

export interface AlertBookParts {
  readonly clock: Clock;
  readonly tell: (alert: Alert) => void;
}

/**
 * What is to be told of what happens: rejected reloads, rollbacks, quarantine, stale sources, and whatever else makes the
 * daemon less than it should be. What goes on is told once, and once more when it is over.
 */
export class AlertBook {
  readonly #parts: AlertBookParts;
  readonly #firing = new Map<string, Alert>();

  constructor(parts: AlertBookParts) {
    this.#parts = parts;
  }

  observe(happening: Happening): void {
    if (happening.kind === 'trouble') this.#fire(happening.trouble.key, happening.trouble.message);
    else if (happening.kind === 'recovery')
      this.#resolve(happening.trouble.key, `${happening.trouble.key} is well again`);
    else if (happening.kind === 'reload') this.#reloaded(happening);
  }

  #reloaded({ record, outcome }: Happening & { kind: 'reload' }): void {
    const { revision, to, by, reason, cause } = record;
    if (outcome.kind === 'rejected')
      return this.#fire('reload', `rejected, revision ${revision} stays: ${record.error?.message}`);
    this.#resolve('reload', `reloads are accepted again, revision ${revision}`);
    // What the sources say is what is served: nothing of them is withdrawn any more.
    if (!record.withdrawn && (outcome.kind === 'committed' || record.pinned === undefined))
      this.#resolve('quarantine', `revision ${revision} is what the sources say`);
    if (outcome.kind !== 'committed' || cause !== 'rollback') return;
    const why = reason ? `: ${reason}` : '';
    const summary = `revision ${revision} brings back the content of revision ${to}${by ? `, by ${by}` : ''}${why}`;
    this.#parts.tell({ key: 'rollback', state: 'event', summary, since: record.at });
    // Nobody asked for it: programs rejected what was there.
    if (by === undefined) this.#fire('quarantine', `withdrawn until its source changes or an operator reloads${why}`);
  }

  #fire(key: string, summary: string): void {
    const before = this.#firing.get(key);
    if (before?.summary === summary) return;
    const alert: Alert = { key, state: 'firing', summary, since: before?.since ?? timestamp(this.#parts.clock) };
    this.#firing.set(key, alert);
    this.#parts.tell(alert);
  }

  #resolve(key: string, summary: string): void {
    const before = this.#firing.get(key);
    if (!before) return;
    this.#firing.delete(key);
    this.#parts.tell({ ...before, state: 'resolved', summary });
  }
}
