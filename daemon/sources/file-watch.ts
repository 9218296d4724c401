import { readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock } from '../ops/clock.ts';
import type { FileOptions } from '../ops/options.ts';
import { isSettingsFile } from './file-set.ts';
import { followPath, type Lookup } from './path-trail.ts';
import { PathWatcher, type WatchedFolder } from './path-watcher.ts';
import type { WatchHealth } from './source.ts';

export interface FileWatchParts {
  readonly roots: readonly FileOptions[];
  readonly rescanMs: number;
  readonly clock: Clock;
  /** The files that are not as they were last read. */
  readonly changedSince: () => Promise<readonly string[]>;
  /** Something may have changed: this file, or any. */
  readonly onHint: (reason: string, path?: string) => void;
  readonly onFinding: (reason: string, path?: string) => void;
  readonly onHealth: (health: WatchHealth) => void;
}

/** Watches files and folders as an operator names them, however many links lead to them. Resolves when armed. */
export async function watchFiles(parts: FileWatchParts): Promise<AsyncDisposable> {
  const { roots, rescanMs, clock, onHealth, onHint } = parts;
  // From a real path to the path under which a source knows it.
  const known = new Map<string, string>();
  const survey = async () => {
    const folders = new Map<string, WatchedFolder>();
    known.clear();
    const homes: string[] = [];
    for (const root of roots) homes.push(await surveyRoot(root, folders, known));
    for (const folder of folders.keys()) if (!mayWatch(folder)) folders.delete(folder);
    const denied = homes.find((folder) => !mayWatch(folder));
    const blocked = denied && `Node may not read ${denied}: start it with --allow-fs-read=${denied}`;
    return { folders, changed: await parts.changedSince(), ...(blocked && { blocked }) };
  };
  // An event that is not on one of the files is on the way to them, and may have led all of them elsewhere.
  const onEvent = (reason: string, path: string) => onHint(reason, known.get(path));
  return PathWatcher.arm({ survey, rescanMs, clock, onHealth, onEvent, onFinding: parts.onFinding });
}

/**
 * Under Node's permission model the folders above those that were allowed may not be watched; that one of them is another
 * one is then found by the rescan. A folder that settings lie in must be among the allowed ones, or nothing is watched.
 */
function mayWatch(folder: string): boolean {
  const permission = process.permission as typeof process.permission | undefined;
  return permission?.has('fs.read', folder) ?? true;
}

/** Collects what to watch for one root. Returns the folder in which its settings lie, or in which they are missing. */
async function surveyRoot(
  root: FileOptions,
  folders: Map<string, WatchedFolder>,
  known: Map<string, string>,
): Promise<string> {
  const { real, lookups } = await followPath(root.path);
  addLookups(folders, lookups);
  if (real === undefined) return lookups.at(-1)!.folder;
  const isFolder = await stat(real).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) {
    known.set(real, root.path);
    return dirname(real);
  }
  folderAt(folders, real).accepts = (name) => isSettingsFile(root, name);
  for (const entry of await readdir(real, { withFileTypes: true }).catch(() => [])) {
    if (!isSettingsFile(root, entry.name)) continue;
    known.set(join(real, entry.name), join(root.path, entry.name));
    if (!entry.isSymbolicLink()) continue;
    const trail = await followPath(join(real, entry.name));
    addLookups(folders, trail.lookups);
    if (trail.real) known.set(trail.real, join(root.path, entry.name));
  }
  return real;
}

function addLookups(folders: Map<string, WatchedFolder>, lookups: readonly Lookup[]): void {
  for (const { folder, name } of lookups) folderAt(folders, folder).names.add(name);
}

function folderAt(folders: Map<string, WatchedFolder>, folder: string): WatchedFolder {
  const found = folders.get(folder) ?? { names: new Set<string>() };
  folders.set(folder, found);
  return found;
}
