import { basename, dirname } from 'node:path';

/** What to watch in one real folder. */
export interface WatchedFolder {
  readonly names: Set<string>;
  /** Names that matter besides {@link names}. */
  accepts?: (name: string) => boolean;
  /** Which folder it is: another one after it was removed, replaced or mounted over. */
  identity: string;
  /** Its file system gives no event for changes that are made elsewhere. */
  isEventless: boolean;
}

/** Each folder with its identity and the names that matter in it. */
export function identities(folders: ReadonlyMap<string, WatchedFolder>): Map<string, string> {
  return new Map(
    [...folders].map(([path, { identity, names }]) => [path, `${identity} ${[...names].sort().join('/')}`]),
  );
}

/** Whether a path is one of the folders, or a name that matters in one of them. */
export function matters(folders: ReadonlyMap<string, WatchedFolder>, path: string): boolean {
  if (folders.has(path)) return true;
  const folder = folders.get(dirname(path));
  const name = basename(path);
  return folder !== undefined && (folder.names.has(name) || folder.accepts?.(name) === true);
}
