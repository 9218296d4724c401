import { chmodSync, chownSync, lstatSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { maxSocketPathBytes } from '../../schemas/runtime-folder.ts';
import { DaemonError, systemCode } from '../model/errors.ts';

/** Who may open a socket, as the kernel checks it. */
export interface SocketRights {
  readonly mode: number;
  readonly gid?: number | undefined;
}

/**
 * A Unix socket under its path. It is bound under a temporary name with no rights for others, gets its rights, and is
 * then renamed into place: nobody ever finds it half made, and the socket of a daemon that was killed is replaced at
 * once. Throws `socket_path_too_long`, `already_running`, `cannot_create` or `not_permitted`.
 */
export class SocketFile implements Disposable {
  readonly path: string;
  readonly #rights: SocketRights;
  readonly #bind: (temporary: string) => Server;
  #inode: bigint | undefined;

  /** `bind` must bind in the same turn, as `net.Server.listen` does with a path. */
  constructor(path: string, rights: SocketRights, bind: (temporary: string) => Server) {
    this.path = path;
    this.#rights = rights;
    this.#bind = bind;
    requireShortPath(path);
  }

  /** It was published, and somebody has taken it away or put something else in its place. */
  get isLost(): boolean {
    return this.#inode !== undefined && inodeOf(this.path) !== this.#inode;
  }

  async publish(): Promise<void> {
    // What stands in the place of a lost one is an intruder's, live or not.
    if (!this.isLost && (await isListened(this.path))) {
      throw new DaemonError('already_running', 'another process listens on this socket', {
        subject: this.path,
        mend: 'stop it, or choose another runtimeDir',
      });
    }
    const temporary = temporaryPath(this.path);
    rmSync(temporary, { force: true });
    await sweep(this.path);
    const umask = process.umask(0o177);
    let server: Server;
    try {
      server = this.#bind(temporary);
    } finally {
      process.umask(umask);
    }
    await listening(server, this.path);
    this.#grant(temporary);
    renameSync(temporary, this.path);
    this.#inode = inodeOf(this.path);
  }

  /** Takes the socket away, unless the path is somebody else's by now. */
  [Symbol.dispose](): void {
    if (this.#inode !== undefined && !this.isLost) rmSync(this.path, { force: true });
    this.#inode = undefined;
  }

  #grant(temporary: string): void {
    const { mode, gid } = this.#rights;
    try {
      if (gid !== undefined) chownSync(temporary, -1, gid);
    } catch (error) {
      const what = `the socket cannot be given to group ${gid}: ${systemCode(error)}`;
      const mend = "make the daemon's user a member of that group, or start it as root";
      throw new DaemonError('not_permitted', what, { subject: this.path, mend });
    }
    chmodSync(temporary, mode);
  }
}

/** Throws `socket_path_too_long` for a path that a socket cannot have, or not its temporary name beside it. */
export function requireShortPath(path: string): void {
  const bytes = Math.max(Buffer.byteLength(path), Buffer.byteLength(temporaryPath(path)));
  if (bytes <= maxSocketPathBytes) return;
  const what = `the socket's path needs ${bytes} bytes and Unix sockets have ${maxSocketPathBytes}`;
  throw new DaemonError('socket_path_too_long', what, { subject: path, mend: 'set runtimeDir to a shorter path' });
}

/** What daemons that were killed have left of sockets half made. */
async function sweep(path: string): Promise<void> {
  const begin = `.${basename(path)}.`;
  const isLeft = (name: string) => name.startsWith(begin) && /^\d+$/.test(name.slice(begin.length));
  for (const name of readdirSync(dirname(path)).filter(isLeft)) {
    const left = join(dirname(path), name);
    if (!(await isListened(left))) rmSync(left, { force: true });
  }
}

function temporaryPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}`);
}

/** `undefined` where nothing is found, or where looking fails for any reason: no search permission, a loop of links. */
function inodeOf(path: string): bigint | undefined {
  try {
    return lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
  } catch {
    return undefined;
  }
}

function isListened(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', ({ code }: NodeJS.ErrnoException) => {
      // Only these two say that nobody is there; a daemon that is busy, or that we may not ask, is not gone.
      resolve(code !== 'ENOENT' && code !== 'ECONNREFUSED' && code !== 'ENOTSOCK');
    });
  });
}

function listening(server: Server, path: string): Promise<void> {
  if (server.listening) return Promise.resolve();
  return new Promise((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        new DaemonError('cannot_create', `the socket cannot be made: ${error.code}`, {
          subject: path,
          mend: 'make runtimeDir writable for this user',
        }),
      );
    });
  });
}
