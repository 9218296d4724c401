import { randomUUID } from 'node:crypto';
import { Digester } from '../../schemas/digest.ts';
import { isObject, type JsonObject } from '../../schemas/json.ts';
import { compare, type Difference, formatPaths, leavesOf } from '../../schemas/patch.ts';
import { formatPath, type Path, valueAt } from '../../schemas/paths.ts';
import type { AppSchema } from '../model/app-schema.ts';
import { pathsChangedIn } from '../model/parts.ts';
import { isSecret } from '../model/secrecy.ts';
import type { Candidate, Cause, KeptSnapshot, Snapshot } from '../model/snapshot.ts';
import { type Clock, timestamp } from '../ops/clock.ts';
import type { LastCommit } from '../ops/state-store.ts';

/** Where the numbers survive a restart. */
export interface Lineage {
  readonly epoch: string;
  readonly lastCommit: LastCommit | undefined;
  mark(digest: string): string;
  saveCommit(revision: number, committedAt: string, digest: string): void;
}

export interface SnapshotStoreParts {
  readonly lineage: Lineage;
  readonly schema: AppSchema;
  readonly clock: Clock;
  /** Snapshots that a rollback can go back to. */
  readonly keep: number;
  /** The numbers could not be saved. They are served from memory; a restart may then repeat them. */
  readonly onUnsaved: (error: unknown) => void;
  /** Values that are secret for as long as a rollback can bring them back. */
  readonly secrets: { hold(values: JsonObject): void; release(values: JsonObject): void };
}

/** What a candidate would be as a snapshot. Nobody sees it before it is committed. */
export interface Draft {
  readonly snapshot: Snapshot;
  /** False when it says what is served already, or was served before a restart. */
  readonly isNew: boolean;
  readonly difference: Difference;
}

/** Holds the current snapshot. Only {@link commit} changes it, by one assignment. */
export class SnapshotStore {
  readonly #parts: SnapshotStoreParts;
  readonly #digester = new Digester();
  readonly #secretPaths = new Set<string>();
  readonly #kept = new Map<number, Snapshot>();
  #current: Snapshot | undefined;
  #epoch: string;

  constructor(parts: SnapshotStoreParts) {
    this.#parts = parts;
    this.#epoch = parts.lineage.epoch;
  }

  get current(): Snapshot | undefined {
    return this.#current;
  }

  get epoch(): string {
    return this.#epoch;
  }

  /** How many of the current settings are secret. */
  get secretsLoaded(): number {
    return this.#secretPaths.size;
  }

  /** The snapshots that were current, the oldest first. */
  get kept(): readonly Snapshot[] {
    return [...this.#kept.values()];
  }

  /** A validated candidate as the next snapshot, its difference known. Changes nothing. */
  draft(candidate: Candidate, cause: Cause): Draft {
    const current = this.#current;
    if (!current) return this.#draftFirst(candidate, cause);
    const difference = compare(current.settings, candidate.settings);
    const isNew = difference.changed.length + difference.removed.length > 0;
    // The same values may have other origins now, which `explain` tells.
    if (!isNew) return { snapshot: { ...current, parts: candidate.parts }, isNew, difference };
    return { snapshot: this.#snapshot(candidate, cause, this.#nextRevision, difference), isNew, difference };
  }

  /** Makes a draft of what is current now the current snapshot. */
  commit({ snapshot, isNew, difference }: Draft): Snapshot {
    const before = this.#current?.parts ?? [];
    if (isNew && !this.#save(snapshot)) this.#startOwnEpoch();
    this.#current = isNew ? { ...snapshot, epoch: this.#epoch } : snapshot;
    this.#countSecrets(snapshot.parts, before, difference);
    this.#keep(this.#current);
    return this.#current;
  }

  /**
   * The same settings under an epoch of this process: a program has seen higher numbers of this one than were ever saved,
   * as after a state folder came back from a backup. Only once: of its own epoch this process knows all numbers. Returns
   * `undefined` then.
   */
  renewEpoch(): Snapshot | undefined {
    if (!this.#current || this.#epoch !== this.#parts.lineage.epoch) return undefined;
    this.#startOwnEpoch();
    this.#current = { ...this.#current, epoch: this.#epoch };
    this.#keep(this.#current);
    return this.#current;
  }

  /** Takes up what was served before a restart. Not a commit: it has its number already. */
  restore(kept: KeptSnapshot, { settings }: Candidate): Snapshot {
    const difference = { changed: leavesOf(settings), removed: [], operations: [] };
    const snapshot = { ...kept, settings, digest: this.#digester.digest(settings) };
    if (kept.revision !== this.#parts.lineage.lastCommit?.revision) this.#save(snapshot);
    return this.commit({ snapshot, isNew: false, difference });
  }

  /** After a restart the same settings keep their number: the programs that hold them need nothing. */
  #draftFirst(candidate: Candidate, cause: Cause): Draft {
    const { lineage } = this.#parts;
    const last = lineage.lastCommit;
    const difference = { changed: leavesOf(candidate.settings), removed: [], operations: [] };
    const first = this.#snapshot(candidate, cause, this.#nextRevision);
    if (!last || lineage.mark(first.digest) !== last.mark) return { snapshot: first, isNew: true, difference };
    const { revision, committedAt } = last;
    return { snapshot: { ...first, revision, committedAt }, isNew: false, difference };
  }

  get #nextRevision(): number {
    return ((this.#current ?? this.#parts.lineage.lastCommit)?.revision ?? 0) + 1;
  }

  #snapshot({ settings, parts }: Candidate, cause: Cause, revision: number, difference?: Difference): Snapshot {
    return {
      settings,
      parts,
      epoch: this.epoch,
      revision,
      digest: this.#digester.digest(settings, this.#current?.settings),
      committedAt: timestamp(this.#parts.clock),
      cause,
      changed: formatPaths(difference?.changed ?? []),
      removed: formatPaths(difference?.removed ?? []),
    };
  }

  #keep(snapshot: Snapshot): void {
    const { keep, secrets } = this.#parts;
    for (const { settings } of snapshot.parts) secrets.hold(settings);
    this.#drop(snapshot.revision);
    this.#kept.set(snapshot.revision, snapshot);
    for (const oldest of this.#kept.keys()) if (this.#kept.size > keep) this.#drop(oldest);
  }

  #drop(revision: number): void {
    for (const { settings } of this.#kept.get(revision)?.parts ?? []) this.#parts.secrets.release(settings);
    this.#kept.delete(revision);
  }

  // Saved before it is seen, so that no number is given twice.
  #save({ revision, committedAt, digest }: Snapshot): boolean {
    try {
      this.#parts.lineage.saveCommit(revision, committedAt, digest);
      return true;
    } catch (error) {
      this.#parts.onUnsaved(error);
      return false;
    }
  }

  /** A number that a restart would give again must not be of the lineage that a restart goes on with. */
  #startOwnEpoch(): void {
    if (this.#epoch === this.#parts.lineage.epoch) this.#epoch = randomUUID();
  }

  #countSecrets(parts: Snapshot['parts'], before: Snapshot['parts'], { changed, removed }: Difference): void {
    for (const path of removed) this.#secretPaths.delete(formatPath(path));
    for (const path of changed) this.#countSecret(parts, path);
    // A value that stayed may come from another part now, which makes it secret or plain.
    const isLeaf = (path: Path) => {
      const value = valueAt(this.#current!.settings, path);
      return value !== undefined && (!isObject(value) || Object.keys(value).length === 0);
    };
    for (const path of pathsChangedIn(before, parts)) if (isLeaf(path)) this.#countSecret(parts, path);
  }

  #countSecret(parts: Snapshot['parts'], path: Path): void {
    if (isSecret(this.#parts.schema, parts, path)) this.#secretPaths.add(formatPath(path));
    else this.#secretPaths.delete(formatPath(path));
  }
}
