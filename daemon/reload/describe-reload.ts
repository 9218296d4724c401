import type { ReloadOutcome, ReloadRecord } from '../model/snapshot.ts';
import type { LogLevel } from '../ops/log.ts';

export interface ReloadLine {
  readonly level: LogLevel;
  readonly event: 'config_reload_completed' | 'config_reload_failed' | 'snapshot_rolled_back';
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** How the end of a reload is logged: in one line, and a rollback in one more. */
export function describeReloadEnd(record: ReloadRecord, outcome: ReloadOutcome): readonly ReloadLine[] {
  const { to, revision, by, reason } = record;
  const end = describeEnd(record, outcome);
  if (to === undefined || outcome.kind !== 'committed') return [end];
  const why = [by && `by ${by}`, reason].filter(Boolean).join(': ');
  const message = `revision ${revision} brings back the content of revision ${to}${why && ` (${why})`}`;
  return [end, { level: 'warn', event: 'snapshot_rolled_back', message, fields: { revision, to, by, reason } }];
}

function describeEnd(record: ReloadRecord, outcome: ReloadOutcome): ReloadLine {
  const { cause, revision, durationMs, changed, removed, changedTotal, removedTotal, by, reason, error } = record;
  const shared = {
    trigger: cause,
    durationSeconds: Number((durationMs / 1000).toFixed(5)),
    revision,
    ...(by && { by }),
    ...(reason && { reason }),
  };
  if (outcome.kind === 'rejected') {
    const { code, message } = outcome.error;
    const kept = revision > 0 ? `; revision ${revision} stays` : '';
    return {
      level: 'error',
      event: 'config_reload_failed',
      message: `rejected: ${message}${kept}`,
      fields: { ...shared, code, errorType: code.split('_')[0], issues: error?.issues ?? [] },
    };
  }
  const what = outcome.kind === 'unchanged' ? `nothing changed, revision ${revision}` : `revision ${revision}`;
  const counts =
    outcome.kind === 'committed' && cause !== 'start'
      ? `: ${changedTotal ?? changed.length} changed, ${removedTotal ?? removed.length} removed`
      : '';
  return {
    level: 'info',
    event: 'config_reload_completed',
    message: what + counts,
    fields: { ...shared, outcome: outcome.kind, changed, removed },
  };
}
