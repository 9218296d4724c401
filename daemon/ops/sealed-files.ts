import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, readSync, renameSync, rmSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DaemonError, systemCode } from '../model/errors.ts';
import type { KeyRing } from './key-ring.ts';
import { headBytes, type Opened, peekLabel, type SealLabel, seal, unseal } from './seal.ts';

/** A sealed file under its generation. `label` is not proved yet, and `undefined` where it cannot be read. */
export interface SealedFile {
  readonly name: string;
  readonly generation: number;
  readonly label: SealLabel | undefined;
}

const namePattern = /^(\d{1,15})\.sealed$/;

/**
 * Encrypted files in a folder of the daemon's own, `<generation>.sealed`. A file is written beside its place, flushed and
 * renamed, so that a crash leaves the old one or the new one. Files of another owner are never listed, counted or deleted.
 */
export class SealedFiles {
  readonly folder: string;
  readonly #owner: string;
  #former: string | undefined;
  readonly #keys: KeyRing;

  /**
   * Makes the folder and removes what a crash left half-written. `former`: the owner before this one, whose files stay until
   * {@link retireFormer}. Throws `cannot_create`.
   */
  constructor(folder: string, owner: string, keys: KeyRing, former?: string) {
    this.folder = folder;
    this.#owner = owner;
    this.#former = former;
    this.#keys = keys;
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      for (const name of readdirSync(folder)) if (name.endsWith('.tmp')) rmSync(join(folder, name), { force: true });
    } catch (error) {
      const what = `the folder of the last known good cannot be used: ${systemCode(error)}`;
      throw new DaemonError('cannot_create', what, { subject: folder });
    }
  }

  /** The highest generation first. */
  list(): readonly SealedFile[] {
    return this.#all().filter(({ label }) => label === undefined || label.owner === this.#owner);
  }

  /** The files of the former owner, the highest generation first. */
  listFormer(): readonly SealedFile[] {
    return this.#all().filter(({ label }) => label !== undefined && label.owner === this.#former);
  }

  /** From now on they are foreign. */
  retireFormer(): void {
    if (this.#former === undefined) return;
    this.#former = undefined;
    this.putForeignAside();
  }

  /** Renames the files of other owners to `<name>.foreign`, and returns their former names. */
  putForeignAside(): readonly string[] {
    const isForeign = ({ label }: SealedFile) =>
      label !== undefined && label.owner !== this.#owner && label.owner !== this.#former;
    const foreign = this.#all().filter(isForeign);
    for (const { name } of foreign) {
      try {
        renameSync(join(this.folder, name), join(this.folder, `${name}.foreign`));
      } catch {
        // It is not listed under this name either.
      }
    }
    return foreign.map(({ name }) => name);
  }

  /** Throws the system's error. */
  read({ name }: SealedFile): Opened {
    return unseal(readFileSync(join(this.folder, name)), this.#keys);
  }

  /** Throws the system's error; there is no half of it then. */
  async write(text: Buffer, generation: number, revision: number): Promise<void> {
    const sealed = seal(text, { owner: this.#owner, generation, revision }, this.#keys);
    const temporary = join(this.folder, `${generation}.tmp`);
    try {
      await rm(temporary, { force: true });
      await writeThrough(temporary, sealed);
      await rename(temporary, join(this.folder, `${generation}.sealed`));
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      throw error;
    }
    await flushFolder(this.folder);
  }

  /** Deletes all but so many of the newest, and those whose revision was written again. */
  async prune(keep: number): Promise<void> {
    const isNewest = ({ label }: SealedFile, i: number, all: readonly SealedFile[]) =>
      !label || all.findIndex((other) => other.label?.revision === label.revision) === i;
    const all = this.list();
    const kept = new Set(all.filter(isNewest).slice(0, keep));
    for (const file of all) if (!kept.has(file)) await rm(join(this.folder, file.name), { force: true });
  }

  #all(): SealedFile[] {
    const files = readdirSync(this.folder).flatMap((name) => {
      const generation = namePattern.exec(name)?.[1];
      return generation ? [{ name, generation: Number(generation), label: readLabel(join(this.folder, name)) }] : [];
    });
    return files.sort((a, b) => b.generation - a.generation);
  }
}

function readLabel(path: string): SealLabel | undefined {
  try {
    const file = openSync(path, 'r');
    try {
      const head = Buffer.alloc(headBytes);
      return peekLabel(head.subarray(0, readSync(file, head)));
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
}

async function writeThrough(path: string, content: Buffer): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function flushFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
