import { lstatSync, readFileSync } from 'node:fs';
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
    if (uid !== undefined) return liveAccount(stateDir, uid) ?? accountOf(uid);
  }
  return ownAccount();
}

/** The groups that the running daemon has, which a uid without a passwd(5) entry or systemd's SupplementaryGroups needs. */
function liveAccount(stateDir: string, uid: number): Account | undefined {
  try {
    const { pid } = JSON.parse(readFileSync(join(stateDir, 'holder.json'), 'utf8'));
    const status = readFileSync(`/proc/${Number(pid)}/status`, 'utf8');
    const numbers = (name: string) =>
      [...(new RegExp(`^${name}:(.*)$`, 'm').exec(status)?.[1] ?? '').matchAll(/\d+/g)].map(Number);
    const effective = 1;
    if (numbers('Uid')[effective] !== uid) return undefined;
    return { uid, gids: [...numbers('Groups'), numbers('Gid')[effective]!] };
  } catch {
    return undefined;
  }
}

function ownerOf(path: string): number | undefined {
  try {
    return lstatSync(path).uid;
  } catch {
    return undefined;
  }
}
