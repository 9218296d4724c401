import { DaemonError, systemCode } from '../model/errors.ts';
import { type Clock, timestamp } from '../ops/clock.ts';
import type { AuditLog } from './audit-log.ts';

/** Names, numbers and texts without secrets. */
export type Entry = Readonly<Record<string, unknown>>;

export interface AuditQueueParts {
  /** Throws where the log cannot be opened; asked again until it can be. */
  readonly open: () => AuditLog;
  readonly clock: Clock;
  /** Why nothing can be written; `undefined` when it can be again. */
  readonly onProblem: (problem: string | undefined) => void;
  /** The log is not as it was left. */
  readonly onBroken: (what: string) => void;
}

/** Records that wait while nothing can be written; what is beyond is counted. */
const maxWaiting = 1_000;
const againMs = 5_000;

/** Records on their way into one series of the audit log: written a moment later in one go, or at once, or not at all. */
export class AuditQueue {
  readonly #parts: AuditQueueParts;
  #log: AuditLog | undefined;
  #waiting: Entry[] = [];
  #dropped = 0;
  #isScheduled = false;
  #cancelRetry: (() => void) | undefined;

  constructor(parts: AuditQueueParts) {
    this.#parts = parts;
  }

  /** The number of the last record that is written. */
  get records(): number {
    return this.#log?.last.seq ?? 0;
  }

  /** Writes it a moment later, and tries again until it can be. */
  add(entry: Entry): void {
    this.#push(entry);
    this.flushSoon();
  }

  /** Writes it now, or throws `audit_unwritable` and never does. */
  write(entry: Entry): void {
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

  /** Opens the log a moment later, and writes what waits. */
  flushSoon(): void {
    if (this.#isScheduled || this.#cancelRetry) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#flush();
    });
  }

  close(): void {
    this.#cancelRetry?.();
    this.#flush();
    this.#cancelRetry?.();
    this.#log?.close();
  }

  #push(entry: Entry): void {
    if (this.#waiting.length >= maxWaiting) this.#dropped++;
    else this.#waiting.push({ at: timestamp(this.#parts.clock), ...entry });
  }

  /** Returns why it could not be written. */
  #flush(): string | undefined {
    const { onProblem, clock } = this.#parts;
    try {
      this.#append(this.#opened());
      this.#cancelRetry?.();
      this.#cancelRetry = undefined;
      onProblem(undefined);
      return undefined;
    } catch (error) {
      const problem = `the audit log cannot be written: ${whyUnwritten(error)}`;
      onProblem(problem);
      this.#cancelRetry?.();
      this.#cancelRetry = clock.after(againMs, () => {
        this.#cancelRetry = undefined;
        this.#flush();
      });
      return problem;
    }
  }

  #opened(): AuditLog {
    if (this.#log) return this.#log;
    this.#log = this.#parts.open();
    const { broken } = this.#log;
    if (broken) {
      this.#parts.onBroken(broken);
      this.#push({ what: 'audit', outcome: 'broken', why: broken });
    }
    return this.#log;
  }

  #append(log: AuditLog): void {
    if (this.#waiting.length === 0) return;
    log.append(this.#dropped > 0 ? [...this.#waiting, this.#lost()] : this.#waiting);
    this.#waiting = [];
    this.#dropped = 0;
  }

  #lost(): Entry {
    return { at: timestamp(this.#parts.clock), what: 'audit', outcome: 'records_lost', count: this.#dropped };
  }
}

/** For people: what is wrong, or the code of the system's error. */
function whyUnwritten(error: unknown): string {
  if (error instanceof DaemonError) return error.message;
  return systemCode(error) ?? (error as Error).message;
}
