import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KeyRing } from './key-ring.ts';
import { seal, unseal } from './seal.ts';

/**
 * A copy of the epoch beside the state's database, under the key of the last known good. When the database is damaged it
 * proves that the sealed files are of this state folder.
 */
export class EpochSeal {
  readonly #file: string;
  readonly #keys: KeyRing;

  constructor(stateDir: string, keys: KeyRing) {
    this.#file = join(stateDir, 'epoch.sealed');
    this.#keys = keys;
  }

  /** `undefined` where there is none that this key opens. */
  read(): string | undefined {
    return this.#open()?.epoch;
  }

  /** Leaves a file alone that says so already. Throws the system's error. */
  write(epoch: string): void {
    const there = this.#open();
    if (there?.epoch === epoch && there.isNewestKey) return;
    const temporary = `${this.#file}.tmp`;
    rmSync(temporary, { force: true });
    const label = { owner: epoch, generation: 0, revision: 0 };
    writeFileSync(temporary, seal(Buffer.from(epoch), label, this.#keys), { mode: 0o600, flag: 'wx' });
    renameSync(temporary, this.#file);
  }

  #open(): { readonly epoch: string; readonly isNewestKey: boolean } | undefined {
    try {
      const opened = unseal(readFileSync(this.#file), this.#keys);
      if (opened.kind === 'refused') return undefined;
      return { epoch: opened.text.toString(), isNewestKey: opened.isNewestKey };
    } catch {
      return undefined;
    }
  }
}
