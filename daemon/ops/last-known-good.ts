import { join } from 'node:path';
import { setImmediate as immediate } from 'node:timers/promises';
import { cutChanges, frameLimits } from '../model/cut-paths.ts';
import { DaemonError, systemCode } from '../model/errors.ts';
import type { KeptSnapshot, Snapshot } from '../model/snapshot.ts';
import type { Clock } from './clock.ts';
import type { KeyRing } from './key-ring.ts';
import type { Opened, SealLabel } from './seal.ts';
import { type SealedFile, SealedFiles } from './sealed-files.ts';

export interface LastKnownGoodParts {
  /** In the state folder. */
  readonly folder: string;
  readonly keys: KeyRing;
  /** The state folder's epoch: a file of another host, or of another life of this one, is refused. */
  readonly owner: string;
  /** The epoch that was lost with a damaged database: its newest file is served until one of this epoch is written. */
  readonly formerOwner?: string | undefined;
  /** Where the highest generation is remembered, so that an older copy that was put back is noticed. */
  readonly counter: { generation: number };
  readonly keep: number;
  readonly clock: Clock;
  /** Why the last snapshot is not on disk; `undefined` when it is. */
  readonly onProblem: (problem: string | undefined) => void;
  /** The first file of this owner is written. */
  readonly onOwned?: () => void;
  /** Files of another host or state folder were there. They are put aside and never served. */
  readonly onForeign: (error: DaemonError) => void;
}

/** A snapshot that waits to be written; again under its own generation where only its key changes. */
interface Waiting {
  readonly kept: KeptSnapshot;
  readonly generation?: number;
}

const retryDelayMs = 5_000;
/** Nobody is to remove what may be all that is left. */
const notServed = 'it is not served; keep it and see what happened to it, or start with the sources';

/**
 * The snapshots that were good, encrypted, a file each: for a start while sources are away, and for going back. Each that
 * is saved has the next generation, and the highest generation is the newest.
 */
export class LastKnownGood {
  readonly #parts: LastKnownGoodParts;
  readonly #files: SealedFiles;
  #waiting: Waiting[] = [];
  #writing: Promise<void> = Promise.resolve();
  #isWriting = false;
  #cancel = () => {};

  /** Throws `cannot_create`. */
  constructor(parts: LastKnownGoodParts) {
    this.#parts = parts;
    this.#files = new SealedFiles(parts.folder, parts.owner, parts.keys, parts.formerOwner);
    const [foreign] = this.#files.putForeignAside();
    if (foreign) parts.onForeign(this.#refused(foreign, 'is of another host or state folder', 'it was put aside'));
  }

  /** The revisions on disk, the newest first. */
  get revisions(): readonly number[] {
    return [...new Set(this.#files.list().flatMap(({ label }) => (label ? [label.revision] : [])))];
  }

  /** The newest snapshot; `undefined` when there is none. Throws `last_known_good_refused`. */
  newest(): KeptSnapshot | undefined {
    const [file] = [...this.#files.list(), ...this.#files.listFormer()];
    if (!file) return undefined;
    const { label, kept, isNewestKey } = this.#read(file);
    const { generation } = this.#parts.counter;
    if (label.generation < generation) {
      const what = `is an older copy: generation ${label.generation}, and ${generation} was written`;
      throw this.#refused(file.name, what, 'it is not served; put back what is newer, or start with the sources');
    }
    if (!isNewestKey) this.#renew();
    return kept;
  }

  /** One revision; `undefined` when it is not kept. Throws `last_known_good_refused`. */
  read(revision: number): KeptSnapshot | undefined {
    const file = this.#files.list().find(({ label }) => label?.revision === revision);
    return file && this.#read(file).kept;
  }

  /** Writes a snapshot, later. What cannot be written now is tried again. */
  save(snapshot: KeptSnapshot | Snapshot): void {
    const { revision, epoch, committedAt, cause, parts } = snapshot;
    const { changed, removed } = cutChanges(snapshot, frameLimits);
    this.#add({ kept: { revision, epoch, committedAt, cause, changed, removed, parts } });
  }

  /** Resolves when everything is written that can be. */
  async close(): Promise<void> {
    this.#cancel();
    await this.#writing;
  }

  /** Everything under the newest key, so that the older ones are not needed any more. */
  #renew(): void {
    for (const file of [...this.#files.list()].reverse()) {
      try {
        this.#add({ kept: this.#read(file).kept, generation: file.generation });
      } catch {
        // What cannot be read stays as it is, and is reported when somebody wants it.
      }
    }
  }

  #add(waiting: Waiting): void {
    this.#waiting.push(waiting);
    if (this.#waiting.length > this.#parts.keep) this.#waiting.shift();
    if (this.#isWriting) return;
    this.#write();
  }

  #write(): void {
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
      this.#cancel = clock.after(retryDelayMs, () => this.#write());
    }
  }

  async #writeOne({ kept, generation = this.#nextGeneration }: Waiting): Promise<void> {
    const { counter, keep } = this.#parts;
    await this.#files.write(Buffer.from(JSON.stringify(kept)), generation, kept.revision);
    if (generation > counter.generation) counter.generation = generation;
    this.#files.retireFormer();
    this.#parts.onOwned?.();
    await this.#files.prune(keep);
  }

  /** Above every file that is there, so that what is written last is the newest, whatever was put into the folder. */
  get #nextGeneration(): number {
    return Math.max(this.#parts.counter.generation, this.#newestGeneration) + 1;
  }

  get #newestGeneration(): number {
    return Math.max(0, ...[...this.#files.list(), ...this.#files.listFormer()].map(({ generation }) => generation));
  }

  #read(file: SealedFile): { label: SealLabel; kept: KeptSnapshot; isNewestKey: boolean } {
    const { name } = file;
    let opened: Opened;
    try {
      opened = this.#files.read(file);
    } catch (error) {
      throw this.#refused(name, `cannot be read: ${systemCode(error)}`, 'make it readable for the daemon');
    }
    if (opened.kind === 'refused') {
      if (opened.why !== 'another key') throw this.#refused(name, `is ${opened.why}`, notServed);
      const fix = 'put the key that it was written with below the new one';
      throw this.#refused(name, 'was written with another key', fix);
    }
    const { label, text, isNewestKey } = opened;
    if (label.generation !== file.generation)
      throw this.#refused(name, `is revision ${label.revision} under another name`, notServed);
    return { label, kept: JSON.parse(text.toString()), isNewestKey };
  }

  #refused(name: string, what: string, mend: string): DaemonError {
    return new DaemonError('last_known_good_refused', what, { subject: join(this.#parts.folder, name), mend });
  }
}
