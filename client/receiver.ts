import { deepFreeze, type JsonObject } from '../schemas/json.ts';
import { applyPatch, fromPointer } from '../schemas/patch.ts';
import type { Path } from '../schemas/paths.ts';
import { RunningDigest } from '../schemas/running-digest.ts';
import type { PatchFrame, Position, SnapshotFrame, VerifyFrame } from '../schemas/wire.ts';
import { share } from './share.ts';

/** What came in: settings to try, nothing to do, or something that cannot be used as it is. */
export type Received =
  | {
      readonly kind: 'new';
      readonly settings: JsonObject;
      readonly position: Position;
      /** Where all that differs from what is held lies, when that is known. */
      readonly within?: readonly Path[];
    }
  | { readonly kind: 'old' }
  | { readonly kind: 'unusable'; readonly reason: string };

/** Turns snapshot and patch frames into settings, and remembers which ones were accepted. */
export class Receiver {
  readonly #digest = new RunningDigest();
  #held: { readonly settings: JsonObject; readonly position: Position } | undefined;
  /** The last candidate. When it is committed, the same object stands for it. */
  #tried: { readonly settings: JsonObject; readonly position: Position } | undefined;

  /** What this program has; the daemon sends nothing when it is the same. */
  get position(): Position | undefined {
    return this.#held?.position;
  }

  /** A candidate; what is held stays. */
  candidate(frame: VerifyFrame): Received {
    this.#tried = undefined;
    const received = 'settings' in frame ? this.#whole(frame) : this.#patched(frame);
    if (received.kind === 'new') this.#tried = received;
    return received;
  }

  snapshot(frame: SnapshotFrame): Received {
    if (this.#isOld(frame)) return { kind: 'old' };
    return this.#asTried(frame) ?? this.#whole(frame);
  }

  patch(frame: PatchFrame): Received {
    if (this.#isOld(frame)) return { kind: 'old' };
    return this.#asTried(frame) ?? this.#patched(frame);
  }

  accept({ settings, position }: { readonly settings: JsonObject; readonly position: Position }): void {
    this.#held = { settings, position };
    this.#tried = undefined;
  }

  /** What was tried and is now committed. */
  #asTried({ epoch, revision, digest }: Position): Received | undefined {
    const tried = this.#tried;
    if (tried?.position.digest !== digest || tried.position.epoch !== epoch) return undefined;
    return { kind: 'new', settings: tried.settings, position: { epoch, revision, digest } };
  }

  #whole({ settings, epoch, revision, digest }: SnapshotFrame): Received {
    return {
      kind: 'new',
      settings: deepFreeze(share(this.#held?.settings, settings)),
      position: { epoch, revision, digest },
    };
  }

  #patched({ base, operations, epoch, revision, digest }: PatchFrame): Received {
    const held = this.#held;
    if (!held || held.position.epoch !== epoch || held.position.revision !== base)
      return { kind: 'unusable', reason: 'the base is not held' };
    const paths = operations.map(({ path }) => fromPointer(path));
    const settings = applyPatch(held.settings, operations, paths);
    if (!settings) return { kind: 'unusable', reason: 'the operations do not apply' };
    const within = paths as readonly Path[];
    if (this.#digest.step(held.settings, settings, within) !== digest)
      return { kind: 'unusable', reason: 'the digest differs' };
    return { kind: 'new', settings, position: { epoch, revision, digest }, within };
  }

  /** Within an epoch numbers only grow; another epoch always wins. */
  #isOld({ epoch, revision }: Position): boolean {
    const held = this.#held?.position;
    return held !== undefined && held.epoch === epoch && revision <= held.revision;
  }
}
