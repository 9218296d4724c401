import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A file system of its own with little room, which can be filled; `undefined` where this machine allows no mount. */
export class SmallDisk {
  readonly folder: string;
  #sizes: readonly number[] = [];

  private constructor(folder: string) {
    this.folder = folder;
  }

  static mount(folder: string, size: string): SmallDisk | undefined {
    mkdirSync(folder, { recursive: true });
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=0700`, 'none', folder], { stdio: 'ignore' });
      return new SmallDisk(folder);
    } catch {
      return undefined;
    }
  }

  /** Leaves no byte free; a larger disk needs larger pieces. */
  fill(largest = 65_536): void {
    this.#sizes = [...new Set([largest, 65_536, 4_096, 512, 1])];
    for (const size of this.#sizes) {
      for (let i = 0; i < 64; i++) {
        try {
          writeFileSync(join(this.folder, `fill-${size}-${i}`), Buffer.alloc(size));
        } catch {
          break;
        }
      }
    }
  }

  free(): void {
    for (const size of this.#sizes)
      for (let i = 0; i < 64; i++) rmSync(join(this.folder, `fill-${size}-${i}`), { force: true });
  }

  unmount(): void {
    execFileSync('umount', [this.folder]);
  }
}
