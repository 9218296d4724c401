import { Digester } from '../schemas/digest.ts';
import { deepFreeze, type JsonObject } from '../schemas/json.ts';
import { applyPatch, fromPointer } from '../schemas/patch.ts';
import type { Path } from '../schemas/paths.ts';
import type { PatchFrame, Position, SnapshotFrame } from '../schemas/wire.ts';
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
  readonly #digester = new Digester();
  #held: { readonly settings: JsonObject; readonly position: Position } | undefined;

  /** What this program has; the daemon sends nothing when it is the same. */
  get position(): Position | undefined {
    return this.#held?.position;
  }

  snapshot({ settings, epoch, revision, digest }: SnapshotFrame): Received {
    if (this.#isOld(epoch, revision)) return { kind: 'old' };
    return {
      kind: 'new',
      settings: deepFreeze(share(this.#held?.settings, settings)),
      position: { epoch, revision, digest },
    };
  }

  patch({ base, operations, epoch, revision, digest }: PatchFrame): Received {
    if (this.#isOld(epoch, revision)) return { kind: 'old' };
    const held = this.#held;
    if (!held || held.position.epoch !== epoch || held.position.revision !== base)
      return { kind: 'unusable', reason: 'the base is not held' };
    const settings = applyPatch(held.settings, operations);
    if (!settings) return { kind: 'unusable', reason: 'the operations do not apply' };
    // Once for the whole tree; from then on only what changed is computed.
    this.#digester.digest(held.settings);
    const within = operations.map(({ path }) => fromPointer(path)!);
    const isRight = this.#digester.digest(settings, held.settings, within) === digest;
    if (!isRight) return { kind: 'unusable', reason: 'the digest differs' };
    return { kind: 'new', settings, position: { epoch, revision, digest }, within };
  }

  accept({ settings, position }: { readonly settings: JsonObject; readonly position: Position }): void {
    this.#held = { settings, position };
  }

  /** Within an epoch numbers only grow; another epoch always wins. */
  #isOld(epoch: string, revision: number): boolean {
    const held = this.#held?.position;
    return held !== undefined && held.epoch === epoch && revision <= held.revision;
  }
}
