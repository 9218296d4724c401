import { readFileSync, realpathSync, type Stats, statSync } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Account, accountName, closeTo } from './accounts.ts';

/** A file, or a folder on the way to it. */
export interface Place {
  readonly path: string;
  readonly stats: Pick<Stats, 'uid' | 'gid' | 'mode'>;
}

/** Why others can read or replace a file, and what ends that. */
export interface Exposure {
  readonly what: string;
  readonly mend: string;
  /** It lies on a mount that nobody can write to, as secrets of containers do: its modes are not the operator's to choose. */
  readonly isOfMount: boolean;
}

export interface AccessRules {
  /** Who is to read it. */
  readonly reader: Account;
  /** Groups whose members may read it too: the reader's own, or any that was chosen. */
  readonly groups: 'own' | 'any';
}

const sticky = 0o1000;

/** The folders on the way to a file, the nearest first. Those that Node's permission model hides are left out. */
export async function foldersAbove(path: string): Promise<readonly Place[]> {
  const real = await realpath(path).catch(() => path);
  const found = await Promise.all(
    ancestors(real).map(async (folder) => placeOf(folder, await stat(folder).catch(none))),
  );
  return found.flat();
}

/** As {@link foldersAbove}, at once. */
export function foldersAboveSync(path: string): readonly Place[] {
  return ancestors(attempt(() => realpathSync.native(path)) ?? path).flatMap((folder) =>
    placeOf(
      folder,
      attempt(() => statSync(folder)),
    ),
  );
}

/**
 * One rule for every secret file: it belongs to root or to its reader, and so do the folders on the way, which not everybody
 * may write to; others cannot read it, by its own mode or because they may not enter a folder on the way; and a group
 * that reads it is the reader's own. `undefined` where it is so.
 */
export function exposureOf(file: Place, folders: readonly Place[], rules: AccessRules): Exposure | undefined {
  const found = exposed(file, folders, rules);
  return found && { ...found, isOfMount: isOnReadOnlyMount(file.path) };
}

/** Whether an account may read a file, as the kernel decides it; access lists are not known here. */
export function mayRead({ uid, gid, mode }: Place['stats'], { uid: own, gids }: Account): boolean {
  if (own === 0) return true;
  if (uid === own) return (mode & 0o400) !== 0;
  return (mode & (gids.includes(gid) ? 0o040 : 0o004)) !== 0;
}

/** As {@link mayRead}, for writing to a file or making files in a folder. */
export function mayWrite({ uid, gid, mode }: Place['stats'], { uid: own, gids }: Account): boolean {
  if (own === 0) return true;
  if (uid === own) return (mode & 0o200) !== 0;
  return (mode & (gids.includes(gid) ? 0o020 : 0o002)) !== 0;
}

/** Which others can put another file in place of one in a folder; `undefined` where nobody else can. */
export function writers({ stats: { gid, mode } }: Place, { gids }: Account): string | undefined {
  // Where it is set, nobody can take or rename what is not theirs.
  if ((mode & sticky) !== 0) return undefined;
  if ((mode & 0o002) !== 0) return 'which everybody may write to';
  const isOwnGroup = gid === 0 || gids.includes(gid);
  return (mode & 0o020) !== 0 && !isOwnGroup ? `which the group ${gid} may write to` : undefined;
}

/** The command that ends what {@link writers} found. */
export function closedTo({ path, stats: { mode } }: Place): string {
  return `chmod ${(mode & 0o002) !== 0 ? 'o' : 'g'}-w ${path}`;
}

function exposed(file: Place, folders: readonly Place[], { reader, groups }: AccessRules) {
  const { path, stats } = file;
  const name = () => accountName(reader.uid);
  const close = () => closeTo(reader.uid, path);
  const isTrusted = (uid: number) => uid === 0 || uid === reader.uid;
  if (!isTrusted(stats.uid)) return { what: `belongs to uid ${stats.uid}, neither root nor ${name()}`, mend: close() };
  const foreign = folders.find((folder) => !isTrusted(folder.stats.uid));
  if (foreign) {
    const what = `lies in ${foreign.path}, which belongs to uid ${foreign.stats.uid}, neither root nor ${name()}`;
    return { what, mend: `keep it elsewhere, or chown root ${foreign.path}` };
  }
  const open = folders.find((folder) => writers(folder, reader) !== undefined);
  if (open) return { what: `lies in ${open.path}, ${writers(open, reader)}`, mend: closedTo(open) };
  const isReachable = folders.every(({ stats: { mode } }) => (mode & 0o001) !== 0);
  if ((stats.mode & 0o006) !== 0 && isReachable) return { what: 'can be read or written by everybody', mend: close() };
  const isOwnGroup = stats.gid === 0 || reader.gids.includes(stats.gid);
  const byGroup = groups === 'own' ? 0o070 : 0o020;
  if ((stats.mode & byGroup) === 0 || isOwnGroup) return undefined;
  return { what: `can be read or written by the group ${stats.gid}, of which ${name()} is no member`, mend: close() };
}

function ancestors(path: string): string[] {
  const folder = dirname(path);
  return folder === path ? [] : [folder, ...ancestors(folder)];
}

function placeOf(path: string, stats: Stats | undefined): readonly Place[] {
  return stats ? [{ path, stats }] : [];
}

// proc(5): the mount point is the fifth word, its options are the sixth.
/** Nobody can write to it there. */
export function isOnReadOnlyMount(path: string): boolean {
  const text = attempt(() => readFileSync('/proc/self/mountinfo', 'utf8')) ?? '';
  const real = attempt(() => realpathSync.native(path)) ?? path;
  let longest = '';
  let options = '';
  for (const line of text.split('\n')) {
    const [, , , , point = '', of = ''] = line.split(' ');
    const isAbove = real === point || real.startsWith(point.endsWith('/') ? point : `${point}/`);
    // The last one of equal length covers those before it.
    if (isAbove && point.length >= longest.length) [longest, options] = [point, of];
  }
  return options.split(',').includes('ro');
}

function attempt<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}

const none = () => undefined;
