import { lstatSync } from 'node:fs';
import { type Account, accountName, chownTo } from './accounts.ts';
import { closedTo, foldersAboveSync, writers } from './file-access.ts';

/** Why a folder is not to be trusted with sockets or state, and what ends that. */
export interface FolderProblem {
  readonly what: string;
  readonly mend: string;
}

/**
 * A folder of ours is a real one, belongs to its user or to root, and nobody else can write to it or put another one in
 * its place. `undefined` where it is so. Throws what the system says where it is not there.
 */
export function folderProblem(folder: string, user: Account): FolderProblem | undefined {
  const stats = lstatSync(folder);
  const name = accountName(user.uid);
  if (stats.isSymbolicLink()) return { what: 'is a link', mend: 'name the real folder' };
  if (!stats.isDirectory()) return { what: 'is not a folder', mend: 'name a folder' };
  const isTrusted = (uid: number) => uid === 0 || uid === user.uid;
  if (!isTrusted(stats.uid))
    return { what: `belongs to uid ${stats.uid}, neither root nor ${name}`, mend: chownTo(user.uid, folder) };
  if ((stats.mode & 0o022) !== 0) return { what: 'can be written by others', mend: `chmod go-w ${folder}` };
  const above = foldersAboveSync(folder);
  const foreign = above.find(({ stats: { uid } }) => !isTrusted(uid));
  if (foreign) {
    const what = `lies in ${foreign.path}, which belongs to uid ${foreign.stats.uid}, neither root nor ${name}`;
    return { what, mend: `choose a folder elsewhere, or chown root ${foreign.path}` };
  }
  const open = above.find((place) => writers(place, user) !== undefined);
  return open && { what: `lies in ${open.path}, ${writers(open, user)}`, mend: closedTo(open) };
}
