import { join } from 'node:path';
import { DaemonError, systemCode } from '../model/errors.ts';
import type { LayerPart } from '../model/layer.ts';
import type { KeptSnapshot, Snapshot } from '../model/snapshot.ts';
import type { Clock } from './clock.ts';
import { EpochSeal } from './epoch-seal.ts';
import { findKeyFile, readKeyRing } from './key-ring.ts';
import { LastKnownGood } from './last-known-good.ts';
import type { Log } from './log.ts';
import type { Options } from './options.ts';
import type { StateStore } from './state-store.ts';

export interface SnapshotKeeperParts {
  readonly options: Options;
  readonly env: NodeJS.ProcessEnv;
  readonly state: StateStore;
  readonly clock: Clock;
  readonly log: Log;
  /** What is wrong with what is kept; `undefined` when nothing is. */
  readonly onProblem: (problem: string | undefined) => void;
  /** Something that was kept is not served: it is of no use any more, until somebody looks. */
  readonly onRefused: (problem: string) => void;
}

/** Keeps snapshots on disk where there is a key for them, and says so where there is none. Whatever fails here, the daemon goes on. */
export class SnapshotKeeper {
  readonly #parts: SnapshotKeeperParts;
  readonly #disk: LastKnownGood | undefined;
  /** The revision that is on disk already. */
  #written: number | undefined;

  constructor(parts: SnapshotKeeperParts) {
    this.#parts = parts;
    try {
      this.#disk = this.#open();
    } catch (error) {
      this.refuse(error);
    }
  }

  /** What was served before the restart; `undefined` when there is none that may be served. */
  newest(): KeptSnapshot | undefined {
    const { state, log } = this.#parts;
    try {
      const kept = this.#disk?.newest();
      if (!kept) return undefined;
      // Killed between a commit and its writing: the number is another one's by now, and must not come back.
      const last = state.lastCommit;
      if (kept.epoch === state.epoch && kept.revision === last?.revision) {
        this.#written = kept.revision;
        return kept;
      }
      const committedAt = last?.committedAt ?? kept.committedAt;
      log(
        'info',
        'last_known_good_older',
        `the last known good is revision ${kept.revision}, and not the last one`,
        {},
      );
      return { ...kept, epoch: state.epoch, revision: (last?.revision ?? 0) + 1, committedAt };
    } catch (error) {
      this.refuse(error);
      return undefined;
    }
  }

  /** The parts of a revision, from memory or from disk; `undefined` when it is gone. */
  partsOf(revision: number, inMemory: readonly Snapshot[]): readonly LayerPart[] | undefined {
    return inMemory.find((snapshot) => snapshot.revision === revision)?.parts ?? this.#disk?.read(revision)?.parts;
  }

  /** The revisions whose parts are at hand. */
  revisions(inMemory: readonly Snapshot[]): ReadonlySet<number> {
    return new Set([...inMemory.map(({ revision }) => revision), ...(this.#disk?.revisions ?? [])]);
  }

  save(snapshot: Snapshot): void {
    if (snapshot.revision !== this.#written) this.#disk?.save(snapshot);
    this.#written = undefined;
  }

  async close(): Promise<void> {
    await this.#disk?.close();
  }

  /** Tells loudly that what is kept is not served. */
  refuse(error: unknown): void {
    if (!(error instanceof DaemonError)) throw error;
    this.#parts.log('error', 'last_known_good_refused', error.message, { errorType: error.code });
    if (error.code === 'last_known_good_refused') this.#parts.onRefused(error.message);
    else this.#parts.onProblem(error.message);
  }

  /** What is on disk is of this epoch: nothing of the one before is needed any more. */
  #settle(epochs: EpochSeal): void {
    const { state, onProblem } = this.#parts;
    try {
      epochs.write(state.epoch);
      if (state.isRecovering) state.isRecovering = false;
    } catch (error) {
      onProblem(`the epoch cannot be kept beside the last known good: ${systemCode(error) ?? 'unknown error'}`);
    }
  }

  #open(): LastKnownGood | undefined {
    const { options, env, state, clock, log, onProblem } = this.#parts;
    const { keyFile, keep } = options.lastKnownGood;
    const file = findKeyFile('lkg-key', keyFile, env);
    if (!file) {
      const level = options.profile === 'development' ? 'info' : 'warn';
      const mend = 'set lastKnownGood.keyFile, or give the systemd credential lkg-key';
      log(level, 'last_known_good_off', `no key, so nothing is kept for a start while sources are away (${mend})`, {});
      return undefined;
    }
    const folder = join(options.stateDir, 'last-known-good');
    const keys = readKeyRing(file);
    const epochs = new EpochSeal(options.stateDir, keys);
    const disk = new LastKnownGood({
      folder,
      keys,
      owner: state.epoch,
      ...(state.isRecovering && { formerOwner: epochs.read() }),
      counter: state,
      keep,
      clock,
      onProblem,
      onOwned: () => this.#settle(epochs),
      onForeign: (error) => this.refuse(error),
    });
    if (!state.isRecovering) this.#settle(epochs);
    return disk;
  }
}
