import { join } from 'node:path';

/** Where sockets are when nothing else is said: `$RUNTIME_DIRECTORY`, `$XDG_RUNTIME_DIR/hotconf`, `/run/hotconf`. */
export function defaultRuntimeFolder(env: NodeJS.ProcessEnv): string {
  // systemd joins several RuntimeDirectory= entries with a colon; the first is ours.
  if (env.RUNTIME_DIRECTORY) return env.RUNTIME_DIRECTORY.split(':')[0]!;
  return env.XDG_RUNTIME_DIR ? join(env.XDG_RUNTIME_DIR, 'hotconf') : '/run/hotconf';
}

/** The longest path that a Unix socket can have on Linux, in bytes: `sun_path` is 108 with its final NUL. */
export const maxSocketPathBytes = 107;
