import { execFileSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

/** A FUSE file system over a folder whose server never answers: every look into it hangs, as on a dead NFS. */
export class DeadMount {
  readonly #folder: string;
  readonly #device: number;

  /** Throws where this machine or user may not mount. */
  constructor(folder: string) {
    this.#folder = folder;
    this.#device = openSync('/dev/fuse', 'r+');
    try {
      const options = 'fd=3,rootmode=40000,user_id=0,group_id=0';
      execFileSync('mount', ['-i', '-t', 'fuse', '-o', options, 'dead', folder], {
        stdio: ['ignore', 'ignore', 'ignore', this.#device],
      });
    } catch (error) {
      closeSync(this.#device);
      throw error;
    }
  }

  /** The server is gone, so that what hangs ends with ENOTCONN; then the folder below is back. */
  end(): void {
    closeSync(this.#device);
    execFileSync('umount', ['-l', this.#folder]);
  }
}
