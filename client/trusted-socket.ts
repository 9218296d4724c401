import { lstatSync, realpathSync, type Stats } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { ClientError } from './errors.ts';

/** Says of a user's number whether a daemon of that user is to be believed. */
export type MayServe = (uid: number) => boolean;

const writableByAll = 0o002;
const sticky = 0o1000;

/**
 * Why the socket at a path is not to be believed; `undefined` where it is. Who owns a socket made it, and who may write to
 * a folder on the way to it could put another one there: all of them must be root's or of a user who is believed. What
 * cannot be looked at is not believed.
 */
export function distrust(path: string, mayServe: MayServe): ClientError | undefined {
  const socket = look(path);
  if (typeof socket === 'string') return unseen(path, socket);
  if (!mayServe(socket.uid)) return refusedOwner(path, socket.uid);
  const folder = dirname(resolve(path));
  const real = realFolder(folder);
  return distrustFolders(folder, mayServe) ?? (real === folder ? undefined : distrustFolders(real, mayServe));
}

/** A folder and all above it; of a link its owner, who chooses where it leads. */
function distrustFolders(first: string, mayServe: MayServe): ClientError | undefined {
  for (let folder = first; ; folder = dirname(folder)) {
    const found = look(folder);
    // Node's permission model hides the folders above those that were allowed.
    if (typeof found === 'string') {
      if (folder === first || found !== 'ERR_ACCESS_DENIED') return unseen(folder, found);
    } else if (!mayServe(found.uid)) return refusedOwner(folder, found.uid);
    else if (!found.isSymbolicLink() && (found.mode & writableByAll) !== 0 && (found.mode & sticky) === 0)
      return refused(`everybody may write to ${folder}, and so put another socket there`, `chmod o-w ${folder}`);
    if (dirname(folder) === folder) return undefined;
  }
}

function realFolder(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    // Not to be asked under Node's permission model; the folder as it is named is looked at in any case.
    return folder;
  }
}

/** Tells one socket at a path from the next; empty where there is none. */
export function socketIdentity(path: string): string {
  const found = look(path);
  return typeof found === 'string' ? '' : `${found.dev} ${found.ino} ${found.ctimeMs}`;
}

/** Tells a socket and the folders on the way to it from all others; folders that cannot be looked at count as one. */
export function wayIdentity(path: string): string {
  const steps: string[] = [];
  for (let place = resolve(path); ; place = dirname(place)) {
    const found = look(place);
    steps.push(typeof found === 'string' ? found : `${found.dev}:${found.ino}`);
    if (dirname(place) === place) return steps.join(' ');
  }
}

/** What is at a path, or the code of why that cannot be told. */
function look(path: string): Stats | string {
  try {
    return lstatSync(path);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown error';
  }
}

function unseen(path: string, code: string): ClientError {
  const fix = code === 'ERR_ACCESS_DENIED' ? `start Node with --allow-fs-read=${path}` : 'see its modes and owners';
  return refused(`${path} cannot be looked at: ${code}`, fix);
}

function refusedOwner(path: string, uid: number): ClientError {
  return refused(
    `${path} belongs to uid ${uid}, which is neither root nor this user`,
    'set daemonUid or HOTCONF_DAEMON_UID if that is the daemon',
  );
}

function refused(what: string, fix: string): ClientError {
  return new ClientError('refused', `${what} (${fix})`);
}
