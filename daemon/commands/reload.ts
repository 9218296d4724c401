import type { Issue } from '../../schemas/errors.ts';
import type { Reports } from '../admin/reports.ts';
import { type CutChanges, leftOut } from '../model/cut-paths.ts';
import { plainText } from '../model/plain-text.ts';
import type { Preview } from '../reload/commit-gate.ts';
import { askDaemon } from './admin-client.ts';
import { type Io, printJson, printLines, type SharedOptions, table } from './io.ts';

export interface ReloadOptions extends SharedOptions {
  readonly reason?: string;
  readonly dryRun?: boolean;
  readonly acceptMissing?: boolean;
  /** False: programs with `verify` are not asked. */
  readonly verify?: boolean;
}

/** How a reload, a rollback or an unpin ended. */
export interface ReloadAnswer {
  readonly status: 'success' | 'error';
  readonly message: string;
  readonly outcome?: string;
  readonly revision?: number;
  readonly changed?: readonly string[];
  readonly removed?: readonly string[];
  readonly changedTotal?: number;
  readonly removedTotal?: number;
  readonly issues?: readonly Issue[];
  readonly pinned?: ReturnType<Reports['summary']>['pinned'];
  readonly rollout?: ReturnType<Reports['summary']>['rollout'];
  readonly subscribers?: ReturnType<Reports['clients']>;
}

/** Reads every source again, waits, and tells the outcome and which subscribers took it. */
export async function reload(options: ReloadOptions, io: Io): Promise<number> {
  const { reason, dryRun, acceptMissing, verify } = options;
  if (dryRun) return tellPreview(options, io, 1);
  const body = {
    ...(reason && { reason }),
    ...(acceptMissing && { acceptMissing }),
    ...(verify === false && { noVerify: true }),
  };
  return tellReload(options, io, '/admin/reload-config', body);
}

/** Asks the daemon for what changes its settings, and tells how that ended. */
export async function tellReload(options: SharedOptions, io: Io, route: string, asked: object): Promise<number> {
  const { body } = await askDaemon<ReloadAnswer>(options, io, route, asked);
  if (options.json) printJson(io, body);
  else printLines(io, describe(body));
  // It is committed, and still not what everybody runs.
  const isRejected = body.subscribers?.some(({ state, observer }) => state === 'rejected' && !observer);
  return body.status === 'error' || isRejected ? 1 : 0;
}

/** Asks the daemon and its programs what a reload would do. `ifInvalid` is the exit code when it would be rejected. */
export async function tellPreview(options: SharedOptions, io: Io, ifInvalid: number): Promise<number> {
  const { body } = await askDaemon<Preview & CutChanges>(options, io, '/admin/reload-config', { dryRun: true });
  if (options.json) printJson(io, body);
  else printLines(io, describePreview(body));
  return body.valid ? 0 : ifInvalid;
}

function describe(answer: ReloadAnswer): string[] {
  const { status, message, outcome, revision, issues = [], subscribers = [] } = answer;
  if (status === 'error') return [plainText(`rejected: ${message}`), ...issuesOf(issues)];
  const { pinned, rollout } = answer;
  return [
    `${outcome}: revision ${revision}`,
    ...(pinned ? [`pinned to the content of revision ${pinned.to}: the sources are not served (hotconf unpin)`] : []),
    ...(rollout ? [plainText(`goes to ${rollout.first.join(', ')} first; to all at ${rollout.until}`)] : []),
    ...pathsOf(answer),
    ...table(
      subscribers
        .filter(({ observer }) => !observer)
        .map(({ name, pid, state }) => [`  ${name || '-'}`, `pid ${pid}`, state]),
    ),
  ];
}

function describePreview(preview: Preview & CutChanges): string[] {
  const { valid, changed, removed, issues, trial, pinned } = preview;
  const isSame = changed.length + removed.length === 0;
  return [
    !valid ? 'would be rejected' : isSame ? 'would change nothing' : 'would change',
    ...pathsOf(preview),
    ...(valid ? [] : issuesOf(issues)),
    ...(trial.asked > 0 ? [`tried by ${trial.asked} programs: ${trial.rejectedBy.length} reject it`] : []),
    ...(pinned ? [`revision ${pinned} is pinned: a reload would end that`] : []),
  ];
}

function pathsOf(changes: Partial<CutChanges>): string[] {
  const { changed = [], removed = [] } = changes;
  const more = leftOut({ ...changes, changed, removed });
  return [
    ...changed.map((path) => `  ~ ${path}`),
    ...removed.map((path) => `  - ${path}`),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ];
}

const issuesOf = (issues: readonly Issue[]) =>
  issues.map(({ path, message }) => plainText(`  ${path ? `${path}: ` : ''}${message}`));
