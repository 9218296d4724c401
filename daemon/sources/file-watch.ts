import { readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DaemonError } from '../model/errors.ts';
import type { Clock } from '../ops/clock.ts';
import type { FileOptions } from '../ops/options.ts';
import type { FileCalls } from './file-calls.ts';
import { isSettingsFile } from './file-set.ts';
import { folderIdentity, followPath, isEventless, type Lookup } from './path-trail.ts';
import { PathWatcher } from './path-watcher.ts';
import type { WatchHealth } from './source.ts';
import type { WatchedFolder } from './watched-folder.ts';

export interface FileWatchParts {
  readonly roots: readonly FileOptions[];
  readonly rescanMs: number;
  readonly clock: Clock;
  readonly calls: FileCalls;
  /** The files that are not as they were last read. */
  readonly changedSince: () => Promise<readonly string[]>;
  /** Something may have changed: this file, or any. */
  readonly onHint: (reason: string, path?: string) => void;
  readonly onFinding: (reason: string, path?: string) => void;
  readonly onHealth: (health: WatchHealth) => void;
}

/** What one root looks at: the folder in which its settings lie or are missing, what to watch, and its files. */
interface RootSurvey {
  readonly home: string;
  readonly folders: Map<string, WatchedFolder>;
  /** From a real path to the paths under which the source knows it: several links may lead to one file. */
  readonly known: Map<string, Set<string>>;
}

/** Watches files and folders as an operator names them, however many links lead to them. Resolves when armed. */
export async function watchFiles(parts: FileWatchParts): Promise<AsyncDisposable> {
  const { roots, rescanMs, clock, onHealth, onHint } = parts;
  let known: ReadonlyMap<string, ReadonlySet<string>> = new Map();
  const survey = async () => {
    const surveys = await Promise.all(roots.map((root) => surveyInTime(root, parts.calls)));
    const found = surveys.filter((survey) => survey !== undefined);
    known = joined(found.map((survey) => survey.known));
    const folders = new Map<string, WatchedFolder>();
    for (const survey of found) for (const [path, folder] of survey.folders) addFolder(folders, path, folder);
    for (const folder of folders.keys()) if (!mayWatch(folder)) folders.delete(folder);
    const blocked = blockedBy(roots, surveys);
    const isPartial = surveys.includes(undefined);
    return { folders, changed: await parts.changedSince(), isPartial, ...(blocked && { blocked }) };
  };
  // An event that is not on one of the files is on the way to them, and may have led all of them elsewhere.
  const onEvent = (reason: string, path: string) => {
    const paths = known.get(path);
    if (!paths) return onHint(reason);
    for (const path of paths) onHint(reason, path);
  };
  return PathWatcher.arm({ survey, rescanMs, clock, onHealth, onEvent, onFinding: parts.onFinding });
}

/** `undefined` for a root whose file system does not answer. */
function surveyInTime(root: FileOptions, calls: FileCalls): Promise<RootSurvey | undefined> {
  return calls
    .run(root.path, `${root.path} (links)`, async () => {
      const survey = await surveyRoot(root);
      for (const [path, folder] of survey.folders) {
        folder.identity = await folderIdentity(path);
        folder.isEventless = await isEventless(path);
      }
      return survey;
    })
    .catch((error) => {
      if (error instanceof DaemonError) return undefined;
      throw error;
    });
}

function blockedBy(roots: readonly FileOptions[], surveys: readonly (RootSurvey | undefined)[]): string | undefined {
  const dead = roots.find((_, i) => surveys[i] === undefined);
  if (dead) return `${dead.name} does not answer`;
  const denied = surveys.map((survey) => survey!.home).find((folder) => !mayWatch(folder));
  return denied && `Node may not read ${denied}: start it with --allow-fs-read=${denied}`;
}

function joined(maps: readonly ReadonlyMap<string, ReadonlySet<string>>[]): Map<string, Set<string>> {
  const all = new Map<string, Set<string>>();
  for (const map of maps) for (const [real, paths] of map) for (const path of paths) addKnown(all, real, path);
  return all;
}

function addKnown(known: Map<string, Set<string>>, real: string, path: string): void {
  known.set(real, (known.get(real) ?? new Set()).add(path));
}

/**
 * Under Node's permission model the folders above those that were allowed may not be watched; that one of them is another
 * one is then found by the rescan. A folder that settings lie in must be among the allowed ones, or nothing is watched.
 */
function mayWatch(folder: string): boolean {
  const permission = process.permission as typeof process.permission | undefined;
  return permission?.has('fs.read', folder) ?? true;
}

async function surveyRoot(root: FileOptions): Promise<RootSurvey> {
  const folders = new Map<string, WatchedFolder>();
  const known = new Map<string, Set<string>>();
  const { real, lookups } = await followPath(root.path);
  addLookups(folders, lookups);
  if (real === undefined) return { home: lookups.at(-1)!.folder, folders, known };
  const isFolder = await stat(real).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) {
    addKnown(known, real, root.path);
    return { home: dirname(real), folders, known };
  }
  folderAt(folders, real).accepts = (name) => isSettingsFile(root, name);
  for (const entry of await readdir(real, { withFileTypes: true }).catch(() => [])) {
    if (!isSettingsFile(root, entry.name)) continue;
    addKnown(known, join(real, entry.name), join(root.path, entry.name));
    if (!entry.isSymbolicLink()) continue;
    const trail = await followPath(join(real, entry.name));
    addLookups(folders, trail.lookups);
    if (trail.real) addKnown(known, trail.real, join(root.path, entry.name));
  }
  return { home: real, folders, known };
}

function addLookups(folders: Map<string, WatchedFolder>, lookups: readonly Lookup[]): void {
  for (const { folder, name } of lookups) folderAt(folders, folder).names.add(name);
}

function addFolder(folders: Map<string, WatchedFolder>, path: string, added: WatchedFolder): void {
  const { names, accepts, identity, isEventless } = added;
  const folder = folderAt(folders, path);
  Object.assign(folder, { identity, isEventless });
  for (const name of names) folder.names.add(name);
  const { accepts: other } = folder;
  if (accepts) folder.accepts = other ? (name) => other(name) || accepts(name) : accepts;
}

function folderAt(folders: Map<string, WatchedFolder>, folder: string): WatchedFolder {
  const found = folders.get(folder) ?? { names: new Set<string>(), identity: 'unknown', isEventless: false };
  folders.set(folder, found);
  return found;
}
