import { chmodSync, chownSync, lstatSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { DaemonError, systemCode } from '../model/errors.ts';
import { ownAccount } from './accounts.ts';
import { folderProblem } from './folder-access.ts';
import { isLocked } from './state-database.ts';

/**
 * The folder of the sockets and its lock, which keeps a second daemon out: both would put their sockets back for ever. The
 * kernel drops the lock with the process.
 */
export class RuntimeFolder {
  readonly #folder: string;
  readonly #prepare: () => void;
  #lock: { readonly db: DatabaseSync; readonly inode: bigint } | undefined;

  /** Makes or checks the folder, as {@link prepareRuntimeFolder} does, and throws as that does. */
  constructor(folder: string, gids: readonly number[], mode: number) {
    this.#folder = folder;
    this.#prepare = () => prepareRuntimeFolder(folder, gids, mode);
    this.#prepare();
  }

  /** Takes the lock. Throws `already_running`. */
  async start(): Promise<void> {
    this.restore();
  }

  /** Sees to it that the folder is there and that the lock in it is ours, and throws where it is not to be had. */
  restore(): void {
    this.#prepare();
    const file = join(this.#folder, '.lock');
    if (this.#lock && inodeOf(file) === this.#lock.inode) return;
    this.#lock?.db.close();
    this.#lock = undefined;
    const db = lockFile(file, this.#folder);
    this.#lock = { db, inode: inodeOf(file)! };
  }

  async stop(): Promise<void> {
    this.#lock?.db.close();
    this.#lock = undefined;
  }
}

/**
 * Makes the folder of the sockets, or checks the one that is there: a real folder, ours or root's, that nobody else can
 * write to. Its mode is 0750 unless another is given; where views have a group it is that group's and 2750; where they have several, others may
 * pass through it (2751), for each socket has its own group. Throws `cannot_create` or `not_permitted`.
 */
export function prepareRuntimeFolder(folder: string, gids: readonly number[] = [], mode = 0o750): void {
  const [gid] = gids;
  try {
    if (!lstatSync(folder, { throwIfNoEntry: false })) {
      mkdirSync(dirname(folder), { recursive: true });
      mkdirSync(folder, { mode });
      if (gid !== undefined) chownSync(folder, -1, gid);
      if (gid !== undefined) chmodSync(folder, gids.some((other) => other !== gid) ? 0o2751 : 0o2750);
    }
  } catch (error) {
    const mend = 'choose another runtimeDir, or make the folder yourself with mode 0750';
    throw new DaemonError('cannot_create', `the runtime folder cannot be made: ${systemCode(error)}`, {
      subject: folder,
      mend,
    });
  }
  const problem = folderProblem(folder, ownAccount());
  if (problem)
    throw new DaemonError('not_permitted', `the runtime folder ${problem.what}`, {
      subject: folder,
      mend: problem.mend,
    });
}

/** An empty database, locked as long as it is open: Node has no other lock that the kernel drops with the process. */
function lockFile(file: string, subject: string): DatabaseSync {
  const umask = process.umask(0o077);
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(file);
    db.exec('PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=MEMORY; BEGIN EXCLUSIVE');
    return db;
  } catch (error) {
    db?.close();
    if (!isLocked(error))
      throw new DaemonError('cannot_create', 'its lock cannot be made', {
        subject: file,
        mend: 'make runtimeDir writable for this user',
        cause: error,
      });
    const mend = 'stop that one first, or give this one a runtimeDir of its own';
    throw new DaemonError('already_running', 'another hotconf daemon has its sockets here', { subject, mend });
  } finally {
    process.umask(umask);
  }
}

function inodeOf(file: string): bigint | undefined {
  return lstatSync(file, { bigint: true, throwIfNoEntry: false })?.ino;
}
