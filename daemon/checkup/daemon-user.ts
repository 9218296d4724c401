import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { type Account, accountOf, ownAccount } from '../ops/accounts.ts';
import type { Options } from '../ops/options.ts';
import { adminSocket } from '../ops/socket-paths.ts';

/**
 * The user that the daemon runs as, by whom its files are to be judged, and not by whoever looks: the owner of its socket,
 * or of what it has left in its state folder. Where nothing tells, whoever looks is taken for it, as who would start it.
 */
export function daemonUser(options: Options): Account {
  const { stateDir, runtimeDir } = options;
  for (const place of [adminSocket(options), join(stateDir, 'state.db'), stateDir, runtimeDir]) {
    const uid = ownerOf(place);
    if (uid !== undefined) return accountOf(uid);
  }
  return ownAccount();
}

function ownerOf(path: string): number | undefined {
  try {
    return lstatSync(path).uid;
  } catch {
    return undefined;
  }
}
