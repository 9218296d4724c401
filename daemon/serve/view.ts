import { randomBytes } from 'node:crypto';
import type { JsonObject } from '../../schemas/json.ts';
import { compare } from '../../schemas/patch.ts';
import { encodeFrame, type PatchFrame, type SnapshotFrame } from '../../schemas/wire.ts';
import type { Snapshot } from '../model/snapshot.ts';

/** A frame as it goes over the socket, the same bytes for every program that gets it. */
export interface EncodedDelivery {
  readonly nonce: string;
  readonly revision: number;
  readonly isPatch: boolean;
  readonly frame: Buffer;
}

/** Earlier settings kept for making patches for programs that are behind. They share what did not change. */
const keptRevisions = 16;

/** What one group of programs sees, and the frames for it. Each frame is encoded once, at its first use. */
export class View {
  readonly name: string;
  #snapshot: Snapshot | undefined;
  #nonce = '';
  readonly #earlier = new Map<number, JsonObject>();
  #full: EncodedDelivery | undefined;
  readonly #patches = new Map<number, EncodedDelivery>();

  constructor(name: string) {
    this.name = name;
  }

  get snapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  publish(snapshot: Snapshot): void {
    if (this.#snapshot) this.#earlier.set(this.#snapshot.revision, this.#snapshot.settings);
    for (const revision of this.#earlier.keys()) if (this.#earlier.size > keptRevisions) this.#earlier.delete(revision);
    this.#snapshot = snapshot;
    this.#nonce = randomBytes(9).toString('base64url');
    this.#full = undefined;
    this.#patches.clear();
  }

  /** The current snapshot: as a patch for a program that holds a known revision, else whole. */
  delivery(held: number | undefined): EncodedDelivery | undefined {
    if (!this.#snapshot) return undefined;
    const base = held === undefined ? undefined : this.#earlier.get(held);
    return base === undefined ? this.#whole(this.#snapshot) : this.#patch(this.#snapshot, held!, base);
  }

  #whole(snapshot: Snapshot): EncodedDelivery {
    this.#full ??= this.#encode('snapshot', { ...this.#head(snapshot), settings: snapshot.settings });
    return this.#full;
  }

  #patch(snapshot: Snapshot, held: number, base: JsonObject): EncodedDelivery {
    let patch = this.#patches.get(held);
    if (!patch) {
      patch = this.#encode('patch', {
        ...this.#head(snapshot),
        base: held,
        operations: compare(base, snapshot.settings).operations,
      });
      this.#patches.set(held, patch);
    }
    return patch;
  }

  #head({ epoch, revision, digest, committedAt, cause, changed, removed }: Snapshot) {
    return { nonce: this.#nonce, epoch, revision, digest, committedAt, cause, changed, removed };
  }

  #encode(type: 'snapshot' | 'patch', data: SnapshotFrame | PatchFrame): EncodedDelivery {
    return {
      nonce: data.nonce,
      revision: data.revision,
      isPatch: type === 'patch',
      frame: Buffer.from(encodeFrame(type, data)),
    };
  }
}
