import { lstatSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';
import { DaemonError } from '../model/errors.ts';
import { type Account, accountName, closeTo, ownAccount } from './accounts.ts';
import { closedTo, foldersAboveSync, isOnReadOnlyMount, type Place, writers } from './file-access.ts';

/**
 * An options file that was found where the command stands, and not named, must be of root or of who calls, and so must the
 * folders on the way: it says which commands are run and which daemon is asked. Throws `options_unusable`.
 */
export function requireOwnOptions(file: string, reader: Account = ownAccount()): void {
  const isTrusted = (uid: number) => uid === 0 || uid === reader.uid;
  const places = [...placeAt(file), ...placeAt(dirname(file)), ...foldersAboveSync(file)];
  const foreign = places.find(({ stats }) => !isTrusted(stats.uid));
  if (!foreign) return;
  const what = `${foreign.path} belongs to uid ${foreign.stats.uid}, neither root nor ${accountName(reader.uid)}`;
  const mend = `name it with --config ${file} if you trust who owns it`;
  throw new DaemonError('options_unusable', what, { subject: file, mend });
}

/** Why others could write an options file, and what ends that; `undefined` where they cannot. */
export function optionsExposure(
  file: string,
  reader: Account = ownAccount(),
): { readonly what: string; readonly mend: string } | undefined {
  const [own] = placeAt(file);
  if (!own || isOnReadOnlyMount(file)) return undefined;
  const open = [own, ...foldersAboveSync(file)].find((place) => writers(place, reader) !== undefined);
  if (!open) return undefined;
  if (open === own) return { what: 'can be written by others', mend: closeTo(reader.uid, file) };
  return { what: `lies in ${open.path}, ${writers(open, reader)}`, mend: closedTo(open) };
}

/** As it is, not what a link leads to: who owns a link chooses that. */
function placeAt(path: string): readonly Place[] {
  const stats: Stats | undefined = attempt(path);
  // A link has no mode of its own.
  return stats ? [{ path, stats: stats.isSymbolicLink() ? { uid: stats.uid, gid: stats.gid, mode: 0 } : stats }] : [];
}

function attempt(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    return undefined;
  }
}
