import { randomBytes } from 'node:crypto';
import type { JsonObject } from '../../schemas/json.ts';
import { compare } from '../../schemas/patch.ts';
import { encodeFrame, type Position } from '../../schemas/wire.ts';
import { cutChanges, frameLimits } from '../model/cut-paths.ts';
import type { Snapshot } from '../model/snapshot.ts';

/** A snapshot as one view sees it. */
export type Seen = Omit<Snapshot, 'parts'>;

/** A frame as it goes over the socket, the same bytes for every program that gets it. */
export interface EncodedDelivery {
  readonly nonce: string;
  readonly isPatch: boolean;
  readonly frame: Buffer;
}

/**
 * Settings on their way to the programs of a view, to be taken or, as a candidate, to be tried. Each frame is encoded
 * once, at its first use.
 */
export class Edition {
  /** Names this edition; comes back in the answers. */
  readonly nonce = randomBytes(9).toString('base64url');
  readonly seen: Seen;
  /** What a program holds that has taken it; without the settings, which need not be kept for that. */
  readonly position: Position;
  /** The same object for editions of one view with equal settings, by which "the program runs this" is decided. */
  readonly content: object;
  readonly #isCandidate: boolean;
  #whole: EncodedDelivery | undefined;
  readonly #patches = new Map<number, EncodedDelivery>();

  constructor(seen: Seen, kind: 'snapshot' | 'candidate' = 'snapshot', content: object = {}) {
    const { epoch, revision, digest } = seen;
    this.seen = seen;
    this.position = { epoch, revision, digest };
    this.content = content;
    this.#isCandidate = kind === 'candidate';
  }

  /** A program at this position runs these settings. Its number may be an earlier one: what came after it changed nothing in this view. */
  isHeldAt(last: Position | undefined): boolean {
    const { epoch, revision, digest } = this.position;
    return last?.epoch === epoch && last.revision <= revision && last.digest === digest;
  }

  /** A program at this position has a higher number of the same epoch. */
  isBehind(last: Position | undefined): boolean {
    return last?.epoch === this.position.epoch && last.revision > this.position.revision;
  }

  whole(): EncodedDelivery {
    this.#whole ??= this.#encode('snapshot', false, { settings: this.seen.settings });
    return this.#whole;
  }

  /** What turns the settings of a revision that a program holds into these. */
  patch(held: number, base: JsonObject): EncodedDelivery {
    let patch = this.#patches.get(held);
    if (!patch) {
      const { operations } = compare(base, this.seen.settings);
      patch = this.#encode('patch', true, { base: held, operations });
      this.#patches.set(held, patch);
    }
    return patch;
  }

  #encode(type: 'snapshot' | 'patch', isPatch: boolean, content: object): EncodedDelivery {
    const { epoch, revision, digest, committedAt, cause } = this.seen;
    // The names of what changed can be far longer than the settings: cut, so that the frame is not over its limit by them.
    const head = {
      nonce: this.nonce,
      epoch,
      revision,
      digest,
      committedAt,
      cause,
      ...cutChanges(this.seen, frameLimits),
    };
    const frame = encodeFrame(this.#isCandidate ? 'verify' : type, { ...head, ...content });
    return { nonce: this.nonce, isPatch, frame: Buffer.from(frame) };
  }
}
