import { plainText } from '../model/plain-text.ts';
import type { ReloadRecord } from '../model/snapshot.ts';
import { askDaemon } from './admin-client.ts';
import { type Io, localTime, printJson, printLines, type SharedOptions } from './io.ts';

/** Revisions: when, why, by whom, changed paths, outcome; rejected reloads too. Newest first. */
export async function history(options: SharedOptions, io: Io): Promise<number> {
  const { body } = await askDaemon<ReloadRecord[]>(options, io, '/admin/history');
  if (options.json) printJson(io, body);
  else printLines(io, body.map(describeRecord));
  return 0;
}

const shownPaths = 6;

export function describeRecord({
  at,
  outcome,
  revision,
  cause,
  by,
  reason,
  durationMs,
  changed,
  removed,
  changedTotal = changed.length,
  removedTotal = removed.length,
  error,
  to,
  pinned,
  delivery,
  shadowed,
  kept,
  repeated,
  programReloads,
}: ReloadRecord & { readonly kept?: true }): string {
  const paths = [...changed, ...removed.map((path) => `-${path}`)];
  const total = changedTotal + removedTotal;
  const shown = paths.slice(0, shownPaths);
  const more = total > shown.length ? ` and ${total - shown.length} more` : '';
  const isCommitted = outcome === 'committed';
  const what = [
    (!error || isCommitted) && shown.join(' ') + more,
    error && (isCommitted ? 'without: ' : '') + error.message,
  ];
  const why = [cause, to && `to ${to}`, by && `by ${by}`, reason && `"${reason}"`].filter(Boolean).join(' ');
  const programs = delivery && [
    `${delivery.accepted} took it`,
    delivery.rejected > 0 && `${delivery.rejected} did not`,
    `last after ${delivery.lastAckMs.toFixed(1)} ms`,
  ];
  const hidden = shadowed?.[0] && `${shadowed[0].path} changed in ${shadowed[0].in}, but ${shadowed[0].by} gives it`;
  const ends = [
    ...what,
    hidden,
    pinned && 'pinned',
    kept && 'kept',
    repeated && `${repeated} more of the same`,
    programReloads && `then ${programReloads} reloads of programs without a change`,
    programs && `(${programs.filter(Boolean).join(', ')})`,
  ].filter(Boolean);
  const head = `${localTime(at)}  revision ${revision}  ${outcome.padEnd(9)}  ${why}  ${durationMs.toFixed(1)} ms`;
  return plainText(`${head}  ${ends.join('  ')}`.trimEnd());
}
