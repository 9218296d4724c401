import { DaemonError } from '../model/errors.ts';
import type { Clock } from '../ops/clock.ts';
import type { Redaction } from '../ops/redaction.ts';
import { brief, type Noted, noteOf, operationNote } from './audit-entries.ts';
import type { AuditSeries } from './audit-files.ts';
import type { AuditLog } from './audit-log.ts';
import { AuditQueue, type Entry } from './audit-queue.ts';
import { AuditQuota } from './audit-quota.ts';
import type { Account, Happening } from './happenings.ts';

export interface AuditTrailParts {
  /** Throws where the log cannot be opened; asked again until it can be. */
  readonly open: (series: AuditSeries) => AuditLog;
  readonly redaction: Redaction;
  readonly clock: Clock;
  /** Why nothing can be written; `undefined` when it can be again. */
  readonly onProblem: (problem: string | undefined, series: AuditSeries) => void;
  /** The log is not as it was left. */
  readonly onBroken: (what: string, series: AuditSeries) => void;
}

/**
 * Writes down who did what: reloads, rollbacks, rotations, refusals, who connected and what they may see. Names of
 * settings, never their values. What happens by itself is written a moment later, in one go; what an operator wants is
 * written before it is done, or it is not done. What programs and strangers cause goes to a series of its own, so much a
 * minute and the rest counted: it neither fills the disk nor removes what operators did.
 */
export class AuditTrail {
  readonly #redaction: Redaction;
  readonly #quotas: Readonly<Record<AuditSeries, AuditQuota>>;
  readonly #queues: Readonly<Record<AuditSeries, AuditQueue>>;

  constructor({ open, redaction, clock, onProblem, onBroken }: AuditTrailParts) {
    this.#redaction = redaction;
    const queue = (series: AuditSeries) =>
      new AuditQueue({
        open: () => open(series),
        clock,
        onProblem: (problem) => onProblem(problem, series),
        onBroken: (what) => onBroken(what, series),
      });
    this.#queues = { operators: queue('operators'), programs: queue('programs') };
    const quota = (series: AuditSeries) =>
      new AuditQuota({
        clock,
        onLeftOut: (leftOut) => this.#queues[series].add({ what: 'audit', outcome: 'left_out', ...leftOut }),
      });
    this.#quotas = { operators: quota('operators'), programs: quota('programs') };
  }

  /** The number of the last record of operators that is written. */
  get records(): number {
    return this.#queues.operators.records;
  }

  observe(happening: Happening): void {
    // Both are looked at, also where programs cause nothing.
    if (happening.kind === 'started') this.#queues.programs.flushSoon();
    const noted = noteOf(happening);
    if (noted && this.#isWithin(noted)) this.#queues[noted.series].add(this.#shown(noted));
  }

  /** Writes down what somebody is about to do. Throws `audit_unwritable`, or `rate_limited` for a program. */
  intend(what: string, by: Account, facts: Entry): void {
    const noted = operationNote(what, by, 'asked', facts);
    if (!this.#isWithin(noted))
      throw new DaemonError('rate_limited', 'programs of this user ask for this too often', {
        mend: 'ask again in a minute',
      });
    this.#queues[noted.series].write(this.#shown(noted));
  }

  close(): void {
    for (const quota of Object.values(this.#quotas)) quota.close();
    for (const queue of Object.values(this.#queues)) queue.close();
  }

  #isWithin({ kind, series }: Noted): boolean {
    return kind === undefined || this.#quotas[series].take(kind);
  }

  /** The record of a reload is clean already. */
  #shown({ series, entry, isClean }: Noted): Entry {
    const clean = isClean ? entry : (this.#redaction.cleanValue(entry) as Entry);
    return series === 'programs' ? brief(clean) : clean;
  }
}
