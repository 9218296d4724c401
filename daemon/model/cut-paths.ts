import type { Issue } from '../../schemas/errors.ts';

/** How much of a list is kept; `bytes` are those of its texts in UTF-8. */
export interface ListLimits {
  readonly count: number;
  readonly bytes: number;
}

/** The paths that changed, possibly not all of them. A total is there only where its list is cut. */
export interface CutChanges {
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  readonly changedTotal?: number;
  readonly removedTotal?: number;
}

/** The problems of settings, possibly not all of them; the total is there only then. */
export interface CutIssues {
  readonly issues: readonly Issue[];
  readonly issuesTotal?: number;
}

/** For frames and answers. */
export const frameLimits: ListLimits = { count: 1_000, bytes: 64 * 1024 };
/** For what is one line: log, audit log, events. */
export const recordLimits: ListLimits = { count: 500, bytes: 32 * 1024 };
/** For the history, of which a thousand records are kept and read at once. */
export const historyLimits: ListLimits = { count: 200, bytes: 8 * 1024 };

/** Cuts both lists, each to the limits. They may be cut already. */
export function cutChanges(changes: CutChanges, limits: ListLimits): CutChanges {
  const { changedTotal = changes.changed.length, removedTotal = changes.removed.length } = changes;
  const [changed, removed] = [cutPaths(changes.changed, limits), cutPaths(changes.removed, limits)];
  return {
    changed,
    removed,
    ...(changed.length < changedTotal && { changedTotal }),
    ...(removed.length < removedTotal && { removedTotal }),
  };
}

/** How many paths were left out. */
export function leftOut({ changed, removed, changedTotal, removedTotal }: CutChanges): number {
  return (changedTotal ?? changed.length) - changed.length + (removedTotal ?? removed.length) - removed.length;
}

/** The first paths within the limits; the list itself where all are. */
export function cutPaths(paths: readonly string[], limits: ListLimits): readonly string[] {
  return cut(paths, limits, (path) => path);
}

/** The first issues within the limits, and how many there are where some are left out. The list may be cut already. */
export function cutIssues(all: CutIssues, limits: ListLimits): CutIssues {
  const { issuesTotal = all.issues.length } = all;
  const issues = cut(all.issues, limits, ({ path, message }) => path + message);
  return { issues, ...(issues.length < issuesTotal && { issuesTotal }) };
}

function cut<Item>(items: readonly Item[], { count, bytes }: ListLimits, textOf: (item: Item) => string) {
  let left = bytes;
  const end = items.findIndex((item, i) => {
    left -= Buffer.byteLength(textOf(item));
    return i === count || left < 0;
  });
  return end === -1 ? items : items.slice(0, end);
}
