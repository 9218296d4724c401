import { cutPaths, leftOut, recordLimits } from '../model/cut-paths.ts';
import { DaemonError } from '../model/errors.ts';
import type { ReloadRecord } from '../model/snapshot.ts';
import { Budget } from '../ops/budget.ts';
import { type Clock, timestamp } from '../ops/clock.ts';
import type { Redaction } from '../ops/redaction.ts';
import type { Session } from '../serve/session.ts';
import type { SessionEvent } from '../serve/session-event.ts';
import { type AuditLog, whyUnwritten } from './audit-log.ts';
import type { Account, Happening } from './happenings.ts';

export interface AuditTrailParts {
  /** Throws where the log cannot be opened; asked again until it can be. */
  readonly open: () => AuditLog;
  readonly redaction: Redaction;
  readonly clock: Clock;
  /** Why nothing can be written; `undefined` when it can be again. */
  readonly onProblem: (problem: string | undefined) => void;
  /** The log is not as it was left. */
  readonly onBroken: (what: string) => void;
}

type Entry = Readonly<Record<string, unknown>>;

/** Records that wait while nothing can be written; what is beyond is counted. */
const maxWaiting = 1_000;
const againMs = 5_000;
/** Of each kind that others can cause: who knocks on and on must neither fill the disk nor wash away what operators did. */
const aMinute = 60;

/**
 * Writes down who did what: reloads, rollbacks, rotations, refusals, who connected and what they may see. Names of
 * settings, never their values. What happens by itself is written a moment later, in one go; what an operator wants is
 * written before it is done, or it is not done.
 */
export class AuditTrail {
  readonly #parts: AuditTrailParts;
  readonly #budget: Budget;
  #log: AuditLog | undefined;
  #waiting: Entry[] = [];
  #dropped = 0;
  #isScheduled = false;
  #cancelRetry: (() => void) | undefined;

  constructor(parts: AuditTrailParts) {
    this.#parts = parts;
    this.#budget = new Budget(parts.clock, aMinute);
  }

  /** The number of the last record that is written. */
  get records(): number {
    return this.#log?.last.seq ?? 0;
  }

  observe(happening: Happening): void {
    const entry = this.#entryOf(happening);
    if (!entry) return;
    this.#add(entry);
    if (this.#isScheduled || this.#cancelRetry) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#flush();
    });
  }

  /** Writes down what somebody is about to do. Throws `audit_unwritable`. */
  intend(what: string, by: Account, facts: Entry): void {
    const entry = { what, outcome: 'asked', by: accountOf(by), ...this.#cleaned(facts) };
    const dated = { at: timestamp(this.#parts.clock), ...entry };
    this.#waiting.push(dated);
    const problem = this.#flush();
    if (problem === undefined) return;
    // It is not done, so it must not be written as if it were, later.
    this.#waiting = this.#waiting.filter((waiting) => waiting !== dated);
    throw new DaemonError('audit_unwritable', `nothing is changed that cannot be written down: ${problem}`, {
      mend: 'make room in the state folder',
    });
  }

  close(): void {
    this.#cancelRetry?.();
    this.#flush();
    this.#cancelRetry?.();
    this.#log?.close();
  }

  #add(entry: Entry): void {
    if (this.#waiting.length >= maxWaiting) this.#dropped++;
    else this.#waiting.push({ at: timestamp(this.#parts.clock), ...entry });
  }

  /** Returns why it could not be written. */
  #flush(): string | undefined {
    if (this.#waiting.length === 0) return undefined;
    const { open, onBroken, onProblem } = this.#parts;
    try {
      if (!this.#log) {
        this.#log = open();
        if (this.#log.broken) {
          onBroken(this.#log.broken);
          this.#add({ what: 'audit', outcome: 'broken', why: this.#log.broken });
        }
      }
      this.#log.append(this.#dropped > 0 ? [...this.#waiting, this.#lost()] : this.#waiting);
      this.#waiting = [];
      this.#dropped = 0;
      this.#cancelRetry?.();
      this.#cancelRetry = undefined;
      onProblem(undefined);
      return undefined;
    } catch (error) {
      const problem = `the audit log cannot be written: ${whyUnwritten(error)}`;
      onProblem(problem);
      this.#cancelRetry?.();
      this.#cancelRetry = this.#parts.clock.after(againMs, () => {
        this.#cancelRetry = undefined;
        this.#flush();
      });
      return problem;
    }
  }

  #lost(): Entry {
    return { at: timestamp(this.#parts.clock), what: 'audit', outcome: 'records_lost', count: this.#dropped };
  }

  #entryOf(happening: Happening): Entry | undefined {
    if (happening.kind === 'started') return { what: 'daemon', outcome: 'started', version: happening.version };
    if (happening.kind === 'stopping') return { what: 'daemon', outcome: 'stopping' };
    if (happening.kind === 'reload') return reloadEntry(happening.record);
    if (happening.kind === 'session') return this.#sessionEntry(happening.event, happening.session);
    if (happening.kind === 'operation') {
      const { what, by, outcome, facts } = happening;
      return { what, outcome, by: accountOf(by), ...this.#cleaned(facts) };
    }
    if (happening.kind !== 'refusal') return undefined;
    const { by, why, status, route } = happening;
    const entry = { what: 'request', outcome: 'refused', ...(by && { by: accountOf(by) }), why, status, route };
    return this.#limited(`request ${by?.name}`, entry);
  }

  #sessionEntry(event: SessionEvent, { name, pid, view, peer }: Session): Entry | undefined {
    const who = { by: { kind: 'program', name, pid, ...(peer && { uid: peer.uid, gid: peer.gid }) }, view: view.name };
    const knocker = `${peer?.uid} ${view.name}`;
    if (event.kind === 'joined')
      return this.#limited(`joined ${knocker}`, { what: 'connection', outcome: 'taken', ...who });
    if (event.kind === 'refused') {
      const refused = { what: 'connection', outcome: 'refused', ...who, code: event.code, why: event.message };
      return this.#limited(`refused ${knocker}`, refused);
    }
    if (event.kind !== 'rejected') return undefined;
    const { revision, code, paths } = event.nack;
    return { what: 'snapshot', outcome: 'rejected', ...who, revision, code, keys: cutPaths(paths, recordLimits) };
  }

  #limited(kind: string, entry: Entry): Entry | undefined {
    const untold = this.#budget.take(kind);
    return untold === undefined ? undefined : untold > 0 ? { ...entry, untoldBefore: untold } : entry;
  }

  #cleaned(facts: Entry): Entry {
    return this.#parts.redaction.cleanValue(facts) as Entry;
  }
}

function accountOf({ name, role, uid, pid }: Account): Entry {
  return {
    kind: role === 'program' ? role : 'operator',
    name,
    role,
    ...(uid !== undefined && { uid }),
    ...(pid !== undefined && { pid }),
  };
}

function reloadEntry(record: ReloadRecord): Entry {
  const { outcome, cause, by, reason, to, pinned, revision, epoch, changed, removed, error } = record;
  const what = cause === 'rollback' ? 'rollback' : 'reload';
  const more = leftOut(record);
  return {
    what,
    outcome,
    cause,
    ...(by && { asker: by }),
    ...(reason && { reason }),
    ...(to !== undefined && { to }),
    ...(pinned !== undefined && { pinned }),
    revision,
    epoch,
    keys: changed,
    removed,
    ...(more > 0 && { moreKeys: more }),
    ...(error && {
      code: error.code,
      ...(error.rejectedBy && { rejectedBy: error.rejectedBy.map(({ name, pid }) => ({ name, pid })) }),
    }),
  };
}
