import { existsSync, lstatSync, type Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { runtimeFolders } from '../../schemas/runtime-folder.ts';
import { DaemonError } from '../model/errors.ts';
import { placeOf } from './default-folders.ts';
import type { Options } from './options.ts';
import { findOptionsFile, loadOptions } from './options-file.ts';
import { adminSocketIn, usualView } from './socket-paths.ts';

/** What a command line knows of the daemon that it wants to talk to. */
export interface DaemonSearch {
  /** `--config`. */
  readonly config?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
}

/** Finds the operator's socket of the daemon that runs. Throws `not_reachable` naming every path that was tried. */
export function findAdminSocket(search: DaemonSearch): string {
  const options = knownOptions(search);
  return firstBelieved(
    foldersOf(options, search).map((folder) => adminSocketIn(folder, options?.admin.socket)),
    search,
  );
}

/** Finds the socket of the view that is meant where none is named. Throws as {@link findAdminSocket}. */
export function findViewSocket(search: DaemonSearch): string {
  const options = knownOptions(search);
  const name = options ? usualView(options) : 'default';
  return firstBelieved(
    foldersOf(options, search).map((folder) => join(folder, `${name}.sock`)),
    search,
  );
}

/** The options file is needed only where it says something of the sockets; a daemon is found without one, too. */
function knownOptions({ config, env }: DaemonSearch): Options | undefined {
  try {
    return loadOptions(findOptionsFile(config, env), env);
  } catch (error) {
    const isNamed = config !== undefined || env.HOTCONF_CONFIG !== undefined;
    const isAbsent = error instanceof DaemonError && /^(options_missing|not_permitted)$/.test(error.code);
    if (isNamed || !isAbsent) throw error;
    return undefined;
  }
}

/** A folder that the options name is the only one; else the daemon may have derived another one than a login session does. */
function foldersOf(options: Options | undefined, { env }: DaemonSearch): readonly string[] {
  if (options?.isRuntimeDirGiven) return [options.runtimeDir];
  return runtimeFolders(placeOf(env), process.cwd(), existsSync);
}

function firstBelieved(places: readonly string[], { env }: DaemonSearch): string {
  const there = [...new Set(places)].filter((place) => found(place));
  const believed = there.find((place) => isBelieved(place, env)) ?? there.find((place) => found(place) === 'hidden');
  if (believed) return believed;
  const [foreign] = there;
  if (foreign) {
    const { uid } = found(foreign) as Stats;
    throw new DaemonError('not_permitted', `belongs to uid ${uid}, which is neither root nor this user`, {
      subject: foreign,
      mend: 'set HOTCONF_DAEMON_UID if that is the daemon',
    });
  }
  throw new DaemonError('not_reachable', `no daemon answers; looked for ${places.join(', ')}`, {
    mend: 'see whether it runs, or start one with `hotconf start`',
  });
}

/** Root's, one's own, the configured user's, or that of whom root has given the folder to, as systemd does. */
function isBelieved(place: string, env: NodeJS.ProcessEnv): boolean {
  const socket = found(place);
  const folder = found(dirname(place));
  if (typeof socket !== 'object' || typeof folder !== 'object') return false;
  const believed = new Set([0, process.getuid?.(), Number(env.HOTCONF_DAEMON_UID || Number.NaN)]);
  if (believed.has(socket.uid) && isWay(dirname(place), (uid) => believed.has(uid))) return true;
  return socket.uid === folder.uid && isGivenByRoot(dirname(place));
}

/** Nobody but root could have made this folder, or put another one in its place. */
function isGivenByRoot(folder: string): boolean {
  for (let above = dirname(folder); ; above = dirname(above)) {
    const stats = found(above);
    if (typeof stats !== 'object' || stats.uid !== 0 || (stats.mode & 0o022) !== 0) return false;
    if (dirname(above) === above) return true;
  }
}

/** A folder and all above it are of those who are believed, and nobody else can put another one there. */
function isWay(first: string, isBelievedUid: (uid: number | undefined) => boolean): boolean {
  for (let folder = first; ; folder = dirname(folder)) {
    const stats = found(folder);
    if (typeof stats === 'object') {
      const isOpen = !stats.isSymbolicLink() && (stats.mode & 0o002) !== 0 && (stats.mode & 0o1000) === 0;
      if (!isBelievedUid(stats.uid) || isOpen) return false;
    }
    if (dirname(folder) === folder) return true;
  }
}

/** What is at a path; `'hidden'` where this user may not look, `undefined` where nothing is. */
function found(path: string): Stats | 'hidden' | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOTDIR' ? undefined : 'hidden';
  }
}
