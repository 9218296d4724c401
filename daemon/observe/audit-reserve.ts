import { closeSync, constants, fstatSync, ftruncateSync, openSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** One block of most disks, so that what is given back is used up at once and not by others. */
const pieceBytes = 4 * 1024;
/** A reserve must not be what fills a disk. */
const leastFree = 4;

/**
 * Space that is taken as long as there is plenty, and given back in pieces when a disk is full, so that what operators do
 * can still be written down. What programs cause never uses it.
 */
export class AuditReserve {
  readonly #stateDir: string;
  readonly #bytes: number;

  constructor(stateDir: string, bytes = 1024 * 1024) {
    this.#stateDir = stateDir;
    this.#bytes = bytes;
  }

  /** Gives a piece of it back to the disk; false when nothing is left. */
  release(): boolean {
    return this.#open((handle, bytes) => {
      ftruncateSync(handle, Math.max(0, bytes - pieceBytes));
      return bytes > 0;
    });
  }

  /** Takes the space where there is plenty; true when it is there. Without it, a full disk refuses what operators want. */
  fill(): boolean {
    return this.#open((handle, bytes) => {
      const missing = this.#bytes - bytes;
      const { bavail, bsize } = statfsSync(this.#stateDir);
      if (missing <= 0 || bavail * bsize < leastFree * this.#bytes) return missing <= 0;
      return writeSync(handle, Buffer.alloc(missing)) === missing;
    });
  }

  #open(use: (handle: number, bytes: number) => boolean): boolean {
    const { O_WRONLY, O_CREAT, O_APPEND, O_NOFOLLOW } = constants;
    try {
      const file = join(this.#stateDir, 'audit.reserve');
      const handle = openSync(file, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600);
      try {
        return use(handle, fstatSync(handle).size);
      } finally {
        closeSync(handle);
      }
    } catch {
      return false;
    }
  }
}
