import type { Reports } from '../admin/reports.ts';
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
  const reasons = state.reasons.length > 0 ? ` (${state.reasons.join('; ')})` : '';
  return [
    `revision ${revision}, ${formatAge(ageMs)} old (${localTime(loadedAt)}), ${environment}, ${state.kind}${reasons}`,
    `${secretsLoaded} secrets, hot reload ${hotReloadEnabled ? 'on' : 'off'}, pid ${status.pid}`,
    '',
    ...table([
      ['SOURCE', 'STATE', 'WATCH', 'READS'],
      ...status.sources.map(({ id, state, watch, reads }) => [id, state, watch, reads.join(', ')]),
    ]),
    ...status.sources.flatMap(({ problem }) =>
      problem ? [`  ! ${problem.message} (since ${localTime(problem.since)})`] : [],
    ),
    '',
    ...table([
      ['VIEW', 'SUBSCRIBERS', 'SOCKET'],
      ...status.views.map(({ name, subscribers, socket }) => [name, String(subscribers), socket]),
    ]),
    '',
    ...table([
      ['SUBSCRIBER', 'PID', 'VIEW', 'RUNS', 'STATE'],
      ...status.subscribers.map((who) => [
        who.name || '-',
        String(who.pid),
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

function stateOf({ state, rejection, observer }: Status['subscribers'][number]): string {
  if (rejection) return `rejected: ${rejection.message}`;
  return observer ? 'looking on' : state;
}
