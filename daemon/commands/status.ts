import type { Reports } from '../admin/reports.ts';
import { plainText } from '../model/plain-text.ts';
import { formatAge } from '../model/units.ts';
import { askDaemon } from './admin-client.ts';
import { describeRecord } from './history.ts';
import { type Io, localTime, printJson, printLines, type SharedOptions, table } from './io.ts';

type Status = ReturnType<Reports['status']>;

/** Revision, age, sources with their health, views, subscribers and what each runs, last reloads. */
export async function status(options: SharedOptions, io: Io): Promise<number> {
  const { body } = await askDaemon<Status>(options, io, '/admin/status');
  if (options.json) printJson(io, body);
  else printLines(io, describe(body));
  return 0;
}

function describe(status: Status): string[] {
  const { revision, ageMs, environment, state, loadedAt, secretsLoaded, hotReloadEnabled } = status;
  const { pinned, rollout, held } = status;
  const reasons = state.reasons.length > 0 ? ` (${state.reasons.join('; ')})` : '';
  return [
    `revision ${revision}, ${formatAge(ageMs)} old (${localTime(loadedAt)}), ${environment}, ${state.kind}${reasons}`,
    ...(pinned
      ? [
          plainText(
            `PINNED to the content of revision ${pinned.to} since ${localTime(pinned.since)}: sources are not served`,
          ),
        ]
      : []),
    ...(rollout
      ? [
          plainText(
            `ROLLOUT of revision ${rollout.revision} to ${rollout.first.join(', ')} first; the rest runs ${rollout.stable} until ${localTime(rollout.until)}`,
          ),
        ]
      : []),
    ...held.map(({ parts, why, nextTry }) =>
      plainText(
        `HELD BACK ${parts.join(', ')}: ${why}; ${nextTry ? `tried again at ${localTime(nextTry)}` : 'not tried again until it changes'}`,
      ),
    ),
    `${secretsLoaded} secrets, hot reload ${hotReloadEnabled ? 'on' : 'off'}, pid ${status.pid}`,
    plainText(`${status.host}, ${status.options}`),
    '',
    ...table([
      ['SOURCE', 'STATE', 'WATCH', 'READS'],
      ...status.sources.map(({ id, state, watch, reads }) => [id, state, watch, shortened(reads)]),
    ]),
    ...status.sources.flatMap(({ id, problem }) =>
      problem ? [plainText(`  ! ${id}: ${problem.message} (since ${localTime(problem.since)})`)] : [],
    ),
    '',
    ...table([
      ['VIEW', 'REVISION', 'SUBSCRIBERS', 'SOCKET'],
      ...status.views.map(({ name, revision, subscribers, socket }) => [
        name,
        String(revision),
        String(subscribers),
        socket,
      ]),
    ]),
    '',
    ...table([
      ['SUBSCRIBER', 'PID', 'VIEW', 'RUNS', 'STATE'],
      ...status.subscribers.map((who) => [
        who.name || '-',
        who.isPidClaimed ? `${who.pid} (claimed)` : String(who.pid),
        who.view,
        `revision ${who.revision}`,
        stateOf(who),
      ]),
    ]),
    '',
    'LAST RELOADS',
    ...status.lastReloads.map((record) => `  ${describeRecord(record)}`),
  ];
}

/** The first few; with many secrets it would be one endless cell. */
function shortened(reads: readonly string[]): string {
  return reads.length <= 4 ? reads.join(', ') : `${reads.slice(0, 3).join(', ')} and ${reads.length - 3} more`;
}

function stateOf({ state, rejection, failure, observer, canary }: Status['subscribers'][number]): string {
  if (rejection && state === 'rejected') return `rejected: ${rejection.message}`;
  if (failure) return `fails: ${failure.message}`;
  return observer ? 'looking on' : `${state}${canary ? ', tries it first' : ''}`;
}
