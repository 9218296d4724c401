import { randomUUID } from 'node:crypto';
import { Digester } from '../../schemas/digest.ts';
import type { JsonObject } from '../../schemas/json.ts';
import { compare, type Difference, formatPaths, leavesOf } from '../../schemas/patch.ts';
import { formatPath, type Path } from '../../schemas/paths.ts';
import type { AppSchema } from '../model/app-schema.ts';
import { isSecret } from '../model/secrecy.ts';
import type { Candidate, Cause, ReloadOutcome, Snapshot } from '../model/snapshot.ts';
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
  /** The numbers could not be saved. They are served from memory; a restart may then repeat them. */
  readonly onUnsaved: (error: unknown) => void;
  /** Called in the same turn as the commit, before anything else runs. */
  readonly onCommit: (snapshot: Snapshot) => void;
}

/** Holds the current snapshot. Only {@link commit} changes it, by one assignment. */
export class SnapshotStore {
  readonly #parts: SnapshotStoreParts;
  readonly #digester = new Digester();
  readonly #secretPaths = new Set<string>();
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

  /** Makes a validated candidate current, or finds that it says what is served already. */
  commit({ settings, parts }: Candidate, cause: Cause): ReloadOutcome {
    const current = this.#current;
    if (!current) return this.#commitFirst({ settings, parts }, cause);
    const difference = compare(current.settings, settings);
    if (difference.operations.length === 0) {
      // The same values may have other origins now, which `explain` tells.
      this.#current = { ...current, parts };
      return { kind: 'unchanged', snapshot: this.#current };
    }
    this.#countSecrets(parts, difference);
    const snapshot = this.#snapshot({ settings, parts }, cause, current.revision + 1, difference);
    return this.#adopt(snapshot, 'committed');
  }

  /** After a restart the same settings keep their number: the programs that hold them need nothing. */
  #commitFirst(candidate: Candidate, cause: Cause): ReloadOutcome {
    const { lineage } = this.#parts;
    const last = lineage.lastCommit;
    this.#countSecrets(candidate.parts, { changed: leavesOf(candidate.settings), removed: [], operations: [] });
    const first = this.#snapshot(candidate, cause, (last?.revision ?? 0) + 1);
    if (!last || lineage.mark(first.digest) !== last.mark) return this.#adopt(first, 'committed');
    return this.#adopt({ ...first, revision: last.revision, committedAt: last.committedAt }, 'unchanged');
  }

  #snapshot({ settings, parts }: Candidate, cause: Cause, revision: number, difference?: Difference): Snapshot {
    return {
      settings,
      parts,
      epoch: this.epoch,
      revision,
      digest: this.#digest(settings),
      committedAt: timestamp(this.#parts.clock),
      cause,
      changed: formatPaths(difference?.changed ?? []),
      removed: formatPaths(difference?.removed ?? []),
    };
  }

  #digest(settings: JsonObject): string {
    return this.#digester.digest(settings, this.#current?.settings);
  }

  #adopt(snapshot: Snapshot, kind: 'committed' | 'unchanged'): ReloadOutcome {
    const isSaved = kind === 'unchanged' || this.#save(snapshot);
    // A number that a restart would give again must not be of the lineage that a restart goes on with.
    if (!isSaved && this.#epoch === this.#parts.lineage.epoch) this.#epoch = randomUUID();
    this.#current = { ...snapshot, epoch: this.#epoch };
    this.#parts.onCommit(this.#current);
    return { kind, snapshot: this.#current };
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

  #countSecrets(parts: Snapshot['parts'], { changed, removed }: Difference): void {
    for (const path of removed) this.#secretPaths.delete(formatPath(path));
    for (const path of changed) this.#countSecret(parts, path);
  }

  #countSecret(parts: Snapshot['parts'], path: Path): void {
    if (isSecret(this.#parts.schema, parts, path)) this.#secretPaths.add(formatPath(path));
    else this.#secretPaths.delete(formatPath(path));
  }
}
