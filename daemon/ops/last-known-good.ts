import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as immediate } from 'node:timers/promises';
import { cutChanges, frameLimits } from '../model/cut-paths.ts';
import { DaemonError, systemCode } from '../model/errors.ts';
import type { KeptSnapshot, Snapshot } from '../model/snapshot.ts';
import type { Clock } from './clock.ts';
import type { KeyRing } from './key-ring.ts';
import { type SealLabel, seal, unseal } from './seal.ts';

export interface LastKnownGoodParts {
  /** In the state folder. */
  readonly folder: string;
  readonly keys: KeyRing;
  /** The state folder's epoch: a file of another host, or of another life of this one, is refused. */
  readonly owner: string;
  /** Where the highest generation is remembered, so that an older copy that was put back is noticed. */
  readonly counter: { generation: number };
  readonly keep: number;
  readonly clock: Clock;
  /** Why the last snapshot is not on disk; `undefined` when it is. */
  readonly onProblem: (problem: string | undefined) => void;
}

const extension = '.sealed';
const again = 5_000;

/**
 * The snapshots that were good, encrypted, a file each: for a start while sources are away, and for going back. A file is
 * written beside its place, flushed, and renamed, so that a crash leaves the old one or the new one.
 */
export class LastKnownGood {
  readonly #parts: LastKnownGoodParts;
  #waiting: KeptSnapshot[] = [];
  #writing: Promise<void> = Promise.resolve();
  #isWriting = false;
  #cancel = () => {};

  /** Makes the folder and sweeps what a crash left half-written. Throws `cannot_create`. */
  constructor(parts: LastKnownGoodParts) {
    this.#parts = parts;
    const { folder } = parts;
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      for (const name of readdirSync(folder)) if (name.endsWith('.tmp')) rmSync(join(folder, name), { force: true });
    } catch (error) {
      const what = `the folder of the last known good cannot be used: ${systemCode(error)}`;
      throw new DaemonError('cannot_create', what, { subject: folder });
    }
  }

  /** The revisions on disk, the newest first. */
  get revisions(): readonly number[] {
    const names = readdirSync(this.#parts.folder).filter((name) => name.endsWith(extension));
    return names.map((name) => Number.parseInt(name, 10)).sort((a, b) => b - a);
  }

  /** The newest snapshot; `undefined` when there is none. Throws `last_known_good_refused`. */
  newest(): KeptSnapshot | undefined {
    const [revision] = this.revisions;
    if (revision === undefined) return undefined;
    const { label, kept, isNewestKey } = this.#read(revision);
    const { generation } = this.#parts.counter;
    if (label.generation < generation) {
      const what = `is an older copy: generation ${label.generation}, and ${generation} was written`;
      throw this.#refused(revision, what, 'it is not served; remove it if you know why it is there');
    }
    if (!isNewestKey) this.#renew();
    return kept;
  }

  /** One revision; `undefined` when it is not kept. Throws `last_known_good_refused`. */
  read(revision: number): KeptSnapshot | undefined {
    return this.revisions.includes(revision) ? this.#read(revision).kept : undefined;
  }

  /** Writes a snapshot, later. What cannot be written now is tried again. */
  save(snapshot: KeptSnapshot | Snapshot): void {
    const { revision, epoch, committedAt, cause, parts } = snapshot;
    const { changed, removed } = cutChanges(snapshot, frameLimits);
    this.#waiting.push({ revision, epoch, committedAt, cause, changed, removed, parts });
    if (this.#waiting.length > this.#parts.keep) this.#waiting.shift();
    this.#write();
  }

  /** Resolves when everything is written that can be. */
  async close(): Promise<void> {
    this.#cancel();
    await this.#writing;
  }

  /** Everything under the newest key, so that the older ones are not needed any more. */
  #renew(): void {
    for (const revision of [...this.revisions].reverse()) {
      try {
        this.save(this.#read(revision).kept);
      } catch {
        // What cannot be read stays as it is, and is told when somebody wants it.
      }
    }
  }

  #write(): void {
    if (this.#isWriting) return;
    this.#isWriting = true;
    this.#cancel();
    this.#writing = this.#writeAll().finally(() => {
      this.#isWriting = false;
    });
  }

  async #writeAll(): Promise<void> {
    const { onProblem, clock } = this.#parts;
    // The programs come first.
    await immediate();
    try {
      for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
        await this.#writeOne(next);
        if (this.#waiting[0] === next) this.#waiting.shift();
      }
      onProblem(undefined);
    } catch (error) {
      onProblem(`the last known good cannot be written: ${systemCode(error) ?? (error as Error).name}`);
      this.#cancel = clock.after(again, () => this.#write());
    }
  }

  async #writeOne(kept: KeptSnapshot): Promise<void> {
    const { folder, keys, owner, counter, keep } = this.#parts;
    const { revision } = kept;
    const [newest = 0] = this.revisions;
    const isNewest = revision >= newest;
    const generation = counter.generation + (isNewest ? 1 : 0);
    const sealed = seal(Buffer.from(JSON.stringify(kept)), { owner, generation, revision }, keys);
    const path = join(folder, `${revision}${extension}`);
    const temporary = join(folder, `${revision}.tmp`);
    try {
      await writeThrough(temporary, sealed);
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      throw error;
    }
    await flushFolder(folder);
    if (isNewest) counter.generation = generation;
    for (const old of this.revisions.slice(keep)) await rm(join(folder, `${old}${extension}`), { force: true });
  }

  #read(revision: number): { label: SealLabel; kept: KeptSnapshot; isNewestKey: boolean } {
    const { folder, keys, owner } = this.#parts;
    let sealed: Buffer;
    try {
      sealed = readFileSync(join(folder, `${revision}${extension}`));
    } catch (error) {
      throw this.#refused(revision, `cannot be read: ${systemCode(error)}`, 'make it readable for the daemon');
    }
    const opened = unseal(sealed, keys);
    if (opened.kind === 'refused') {
      const mend =
        opened.why === 'another key'
          ? 'put the key that it was written with below the new one'
          : 'it is not served; remove it';
      throw this.#refused(
        revision,
        opened.why === 'another key' ? 'was written with another key' : `is ${opened.why}`,
        mend,
      );
    }
    const { label, text, isNewestKey } = opened;
    if (label.owner !== owner)
      throw this.#refused(revision, 'is of another host or state folder', 'it is not served; remove it');
    if (label.revision !== revision)
      throw this.#refused(revision, `is revision ${label.revision} under another name`, 'remove it');
    return { label, kept: JSON.parse(text.toString()), isNewestKey };
  }

  #refused(revision: number, what: string, mend: string): DaemonError {
    const subject = join(this.#parts.folder, `${revision}${extension}`);
    return new DaemonError('last_known_good_refused', what, { subject, mend });
  }
}

async function writeThrough(path: string, content: Buffer): Promise<void> {
  const file = await open(path, 'w', 0o600);
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
