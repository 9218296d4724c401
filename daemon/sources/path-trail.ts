import { lstat, readlink, stat, statfs } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { systemCode } from '../model/errors.ts';

/** A name that is looked up in a folder on the way to a file. Replacing it may change where the path leads. */
export interface Lookup {
  /** Existing, and free of links. */
  readonly folder: string;
  readonly name: string;
}

export interface Trail {
  /** The path without links; `undefined` when it leads nowhere. */
  readonly real: string | undefined;
  /** What to watch so that no replacement on the way goes unseen. */
  readonly lookups: readonly Lookup[];
}

// As many as the kernel follows.
const maxLinks = 40;

/**
 * Follows an absolute path name by name. It collects each link on the way, the last name, and the name of the folder
 * that holds it: a Kubernetes `..data` link, a re-pointed release folder and a folder moved over are all replacements
 * of one of these. Where the path ends early, it collects the first missing name.
 */
export async function followPath(path: string): Promise<Trail> {
  const lookups: Lookup[] = [];
  let links = 0;
  let current: string = sep;
  let names = path.split(sep).filter(Boolean);
  while (names.length > 0) {
    const name = names[0]!;
    names = names.slice(1);
    if (name === '..') current = dirname(current);
    if (name === '..' || name === '.') continue;
    const target = await readLink(join(current, name));
    if (target === 'missing' || links > maxLinks) {
      lookups.push({ folder: current, name });
      return { real: undefined, lookups };
    }
    if (target === 'not-a-link') {
      current = join(current, name);
      continue;
    }
    links++;
    lookups.push({ folder: current, name });
    names = [...target.path.split(sep).filter(Boolean), ...names];
    if (target.path.startsWith(sep)) current = sep;
  }
  const folder = dirname(current);
  lookups.push({ folder, name: basename(current) }, { folder: dirname(folder), name: basename(folder) });
  return { real: current, lookups: lookups.filter(({ name }) => name !== '') };
}

async function readLink(path: string): Promise<'missing' | 'not-a-link' | { path: string }> {
  try {
    const found = await lstat(path);
    return found.isSymbolicLink() ? { path: await readlink(path) } : 'not-a-link';
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    // Node's permission model hides the folders above an allowed one; they are there, and whether one of them is a link
    // cannot be asked. That it is replaced by another one is found by the rescan.
    return code === 'ERR_ACCESS_DENIED' ? 'not-a-link' : 'missing';
  }
}

/** Which folder a path names now: another one after it was removed, replaced or mounted over. */
export async function folderIdentity(path: string): Promise<string> {
  try {
    const { dev, ino, birthtimeNs } = await stat(path, { bigint: true });
    return `${dev}:${ino}:${birthtimeNs}`;
  } catch (error) {
    return systemCode(error) ?? 'unknown';
  }
}

// File systems on which changes made elsewhere give no event here: statfs(2), and linux/magic.h.
const eventlessTypes = new Set([0x6969, 0xff534d42, 0xfe534d42, 0x517b, 0x01021997, 0x65735546, 0x794c7630]);

/** Whether a folder's file system, such as NFS, gives no event for changes that are made elsewhere. */
export async function isEventless(path: string): Promise<boolean> {
  try {
    return eventlessTypes.has((await statfs(path)).type);
  } catch {
    return false;
  }
}
