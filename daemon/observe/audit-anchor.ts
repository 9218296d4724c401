import type { Clock } from '../ops/clock.ts';
import type { Log } from '../ops/log.ts';

export interface AuditAnchorParts {
  /** `undefined` where there is none yet. */
  readonly anchor: () => string | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

const everyMs = 60 * 60_000;

/**
 * Logs the last links of the audit log every hour and at a stop, so that the journal, which nobody who owns the state
 * folder can change, shows when all of it was put back to an earlier state.
 */
export class AuditAnchor {
  readonly #parts: AuditAnchorParts;
  #cancel: (() => void) | undefined;

  constructor(parts: AuditAnchorParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#cancel = this.#parts.clock.after(everyMs, () => {
      this.#write();
      this.start();
    });
  }

  /** After the last record is written. */
  stop(): void {
    this.#cancel?.();
    this.#write();
  }

  #write(): void {
    const anchor = this.#parts.anchor();
    if (anchor === undefined) return;
    const message = `the audit log ends here; check it with: hotconf audit verify --anchor ${anchor}`;
    this.#parts.log('info', 'audit_anchor', message, { anchor });
  }
}
