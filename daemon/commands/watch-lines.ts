import type { Snapshot } from '../../client/types.ts';
import { overlap, type Path, parsePath } from '../../schemas/paths.ts';
import { leftOut } from '../model/cut-paths.ts';
import type { ReloadRecord } from '../model/snapshot.ts';
import type { Trouble } from '../ops/health.ts';
import type { OperatorEvent } from './operator-events.ts';

/** One line of what happens; as JSON it is as it stands here. Holds no value. */
export type Line = { readonly kind: string; readonly at: string } & Readonly<Record<string, unknown>>;

/** What an operator's event says to those who watch these paths; `undefined` where it concerns none of them. */
export function lineOf({ event, data }: OperatorEvent, paths: readonly Path[]): readonly [Line, string] | undefined {
  if (event === 'reload') return reloadLine(data, paths);
  if (event !== 'trouble' && event !== 'recovery') return undefined;
  const { key, message, since, code } = data as Trouble;
  const source = /^source:(.*)$/.exec(key)?.[1];
  const what = source ?? key;
  const at = event === 'recovery' ? new Date().toISOString() : since;
  if (event === 'recovery')
    return [{ kind: 'recovered', ...(source ? { source } : { reason: key }), at }, `recovered  ${what}`];
  const kind = source ? 'stale' : 'degraded';
  const facts = source ? { source, code } : { reason: key };
  return [{ kind, ...facts, message, at: new Date().toISOString() }, `${kind}  ${what}: ${message}`];
}

function reloadLine(record: ReloadRecord, paths: readonly Path[]): readonly [Line, string] | undefined {
  const { outcome, revision, at, error, to, by, reason, changed, removed, shadowed = [] } = record;
  const issuePaths = error?.issues.map(({ path }) => path);
  // Also with a commit, which the view itself shows: other changes are not in it.
  if (error && issuePaths && concerns(paths, issuePaths)) {
    const { code, message, issues } = error;
    const kept = revision > 0 ? `; revision ${revision} stays` : '';
    return [{ kind: 'rejected', code, message, issues, revision, at }, `rejected  ${message}${kept}`];
  }
  const isConcern = leftOut(record) > 0 || concerns(paths, [...changed, ...removed]);
  if (outcome === 'committed' && to !== undefined && isConcern) {
    const who = [by && `by ${by}`, reason && `"${reason}"`].filter(Boolean).join(' ');
    const text = `revision ${revision}  rollback to ${to}${who && ` ${who}`}  ${pathsOf(record)}`;
    return [{ kind: 'rollback', revision, to, by, reason, changed, removed, at }, text];
  }
  const shadowedPaths = shadowed.map(({ path }) => path);
  if (outcome !== 'unchanged' || shadowed.length === 0 || !concerns(paths, shadowedPaths)) return undefined;
  const [first] = shadowed;
  const more = shadowed.length > 1 ? `, and ${shadowed.length - 1} more` : '';
  const text = `unchanged  ${first!.path} changed in ${first!.in}, but ${first!.by} gives it${more}`;
  return [{ kind: 'unchanged', shadowed, revision, at }, text];
}

/** What is not known to be elsewhere is shown. */
export function concerns(wanted: readonly Path[], touched: readonly string[]): boolean {
  if (wanted.length === 0 || touched.length === 0) return true;
  const places = touched.map((text) => parsePath(text) ?? []);
  return places.some((path) => wanted.some((other) => overlap(other, path)));
}

/** Changed paths, and removed ones with a minus. */
export function pathsOf({ changed, removed }: Pick<Snapshot<unknown>, 'changed' | 'removed'>): string {
  return [...changed, ...removed.map((path) => `-${path}`)].join(' ');
}
