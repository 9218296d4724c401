import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Place } from '../../schemas/runtime-folder.ts';

/** Who asks where the sockets are. */
export function placeOf(env: NodeJS.ProcessEnv): Place {
  return { env, uid: process.getuid?.(), temporary: tmpdir() };
}

/** `$STATE_DIRECTORY` as a service, `/var/lib/hotconf` as root, `$XDG_STATE_HOME/hotconf` or `~/.local/state/hotconf` as a user. */
export function defaultStateFolder(env: NodeJS.ProcessEnv): string {
  if (env.STATE_DIRECTORY) return env.STATE_DIRECTORY.split(':')[0]!;
  if (!process.getuid?.()) return '/var/lib/hotconf';
  return join(env.XDG_STATE_HOME || join(env.HOME || homedir(), '.local/state'), 'hotconf');
}
