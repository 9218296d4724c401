import { chmodSync, lstatSync, renameSync, rmSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { maxSocketPathBytes } from '../../schemas/runtime-folder.ts';
import { DaemonError } from '../model/errors.ts';

/**
 * A Unix socket under its path. It is bound under a temporary name with no rights for others, gets its mode, and is
 * then renamed into place: nobody ever finds it half made, and the socket of a daemon that was killed is replaced at
 * once. Throws `socket_path_too_long`, `already_running` or `cannot_create`.
 */
export class SocketFile implements Disposable {
  readonly path: string;
  #inode: bigint | undefined;

  constructor(path: string) {
    this.path = path;
    const temporary = temporaryPath(path);
    const bytes = Math.max(Buffer.byteLength(path), Buffer.byteLength(temporary));
    if (bytes <= maxSocketPathBytes) return;
    const what = `the socket's path needs ${bytes} bytes and Unix sockets have ${maxSocketPathBytes}`;
    throw new DaemonError('socket_path_too_long', what, { subject: path, mend: 'set runtimeDir to a shorter path' });
  }

  /** `bind` must bind in the same turn, as `net.Server.listen` does with a path. */
  async publish(bind: (temporary: string) => Server, mode: number): Promise<void> {
    if (await isListened(this.path)) {
      throw new DaemonError('already_running', 'another process listens on this socket', {
        subject: this.path,
        mend: 'stop it, or choose another runtimeDir',
      });
    }
    const temporary = temporaryPath(this.path);
    rmSync(temporary, { force: true });
    const umask = process.umask(0o177);
    let server: Server;
    try {
      server = bind(temporary);
    } finally {
      process.umask(umask);
    }
    await listening(server, this.path);
    chmodSync(temporary, mode);
    renameSync(temporary, this.path);
    this.#inode = inodeOf(this.path);
  }

  /** Takes the socket away, unless the path is somebody else's by now. */
  [Symbol.dispose](): void {
    if (this.#inode !== undefined && inodeOf(this.path) === this.#inode) rmSync(this.path, { force: true });
    this.#inode = undefined;
  }
}

function temporaryPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}`);
}

function inodeOf(path: string): bigint | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
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
