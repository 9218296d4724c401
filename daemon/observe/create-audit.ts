import { join } from 'node:path';
import type { Clock } from '../ops/clock.ts';
import type { Health } from '../ops/health.ts';
import { findKeyFile, readOrMakeKey } from '../ops/key-ring.ts';
import type { Log } from '../ops/log.ts';
import type { Options } from '../ops/options.ts';
import type { Redaction } from '../ops/redaction.ts';
import type { AuditSeries } from './audit-files.ts';
import { AuditHead, anchorOf, type HeadStore } from './audit-head.ts';
import { AuditLog } from './audit-log.ts';
import { AuditReserve } from './audit-reserve.ts';
import { AuditTrail } from './audit-trail.ts';

export interface AuditParts {
  readonly options: Options;
  readonly env: NodeJS.ProcessEnv;
  /** Where the last links of the audit log are kept besides. */
  readonly head: HeadStore;
  readonly health: Health;
  readonly redaction: Redaction;
  readonly clock: Clock;
  readonly log: Log;
}

/** The audit log, and the last links of it in one word; `undefined` before it was opened. */
export interface Audit {
  readonly trail: AuditTrail;
  readonly anchor: () => string | undefined;
}

const ofPrograms = { maxBytes: 4 * 1024 * 1024, keep: 3 };

/** Makes the audit log in the state folder; it is opened with the first record. */
export function createAudit({ options, env, head: store, health, redaction, clock, log }: AuditParts): Audit {
  const { stateDir } = options;
  let head: AuditHead | undefined;
  const open = (series: AuditSeries) => {
    const key = readOrMakeKey(findKeyFile('audit-key', undefined, env) ?? join(stateDir, 'audit.key'));
    head ??= new AuditHead(store, key);
    const own = series === 'operators' ? { reserve: new AuditReserve(stateDir) } : ofPrograms;
    return new AuditLog({ stateDir, key, head: head.of(series), series, ...own });
  };
  const onBroken = (what: string, series: AuditSeries) => {
    const message = `the audit log of ${series} is not as it was left: ${what}`;
    log('error', 'audit_broken', message, { stateDir });
    health.setDegraded(reasonOf('audit-chain', series), message);
  };
  const onProblem = (problem: string | undefined, series: AuditSeries) =>
    health.setDegraded(reasonOf('audit', series), problem);
  return {
    trail: new AuditTrail({ open, redaction, clock, onProblem, onBroken }),
    anchor: () => head && anchorOf(head.lasts),
  };
}

const reasonOf = (reason: string, series: AuditSeries) => (series === 'operators' ? reason : `${reason}-${series}`);
