import { dirname, join } from 'node:path';

/** Who asks where the sockets are, and where from. */
export interface Place {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The user's number; `undefined` where there are none. */
  readonly uid: number | undefined;
  /** The system's folder for temporary files. */
  readonly temporary: string;
}

/** The folder of a system's own daemon. */
const systemFolder = '/run/hotconf';
/** Of a daemon that runs for one project; `hotconf dev` makes it. */
const projectFolder = '.hotconf';

/**
 * Where a daemon puts its sockets when nothing else is said: `$RUNTIME_DIRECTORY` as a service, `/run/hotconf` as root,
 * `$XDG_RUNTIME_DIR/hotconf` or else `<tmp>/hotconf-<uid>` as a user.
 */
export function defaultRuntimeFolder({ env, uid, temporary }: Place): string {
  // systemd joins several RuntimeDirectory= entries with a colon; the first is ours.
  if (env.RUNTIME_DIRECTORY) return env.RUNTIME_DIRECTORY.split(':')[0]!;
  if (uid === 0 || uid === undefined) return systemFolder;
  return userFolders({ env, uid, temporary })[0]!;
}

/** Every folder in which a daemon's sockets may be, for who looks for one: a project's, then a service's, a user's, the system's. */
export function runtimeFolders(place: Place, cwd: string, isThere: (path: string) => boolean): readonly string[] {
  const { env } = place;
  const own = [...(env.RUNTIME_DIRECTORY ? [env.RUNTIME_DIRECTORY.split(':')[0]!] : []), ...userFolders(place)];
  return [...new Set([...projectFolders(cwd, isThere), ...own, systemFolder])];
}

/** The first one is where a daemon goes; one that was started without a session is in the other. */
function userFolders({ env, uid, temporary }: Place): readonly string[] {
  const ofSession = env.XDG_RUNTIME_DIR ? [join(env.XDG_RUNTIME_DIR, 'hotconf')] : [];
  return uid === undefined ? ofSession : [...ofSession, join(temporary, `hotconf-${uid}`)];
}

/** `.hotconf` here and above, up to the folder that has the package.json; without one, here only. */
function projectFolders(cwd: string, isThere: (path: string) => boolean): string[] {
  const folders: string[] = [];
  for (let folder = cwd; ; folder = dirname(folder)) {
    folders.push(join(folder, projectFolder));
    if (isThere(join(folder, 'package.json'))) return folders;
    if (dirname(folder) === folder) return folders.slice(0, 1);
  }
}

/** The longest path that a Unix socket can have on Linux, in bytes: `sun_path` is 108 with its final NUL. */
export const maxSocketPathBytes = 107;
