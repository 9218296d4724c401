import type { Issue } from './errors.ts';
import { isObject, type JsonObject, type JsonValue } from './json.ts';
import type { Operation } from './patch.ts';

/** The protocol that this code speaks. A peer of another number is refused, never guessed at. */
export const protocolVersion = 1;

/** What ends a frame: a form feed. JSON escapes it in strings, so it cannot stand inside one. */
export const delimiter = '\f';

/** Largest frames, in bytes: what a program may send, and what the daemon may send. */
export const maxInboundFrame = 64 * 1024;
export const maxOutboundFrame = 16 * 1024 * 1024;

/** Times of the session, in milliseconds. */
export const helloWithinMs = 2_000;
export const heartbeatMs = 15_000;
export const silenceMs = 45_000;

/** Names one state of the settings. */
export interface Position {
  readonly epoch: string;
  readonly revision: number;
  readonly digest: string;
}

export interface Hello {
  readonly protocol: number;
  readonly name: string;
  readonly pid: number;
  readonly library: string;
  readonly capabilities: readonly string[];
  readonly last?: Position;
}

export interface Welcome {
  readonly protocol: number;
  readonly session: string;
  readonly epoch: string;
  readonly revision: number;
  /** `same`: the program has the settings already and gets none. `full`: a snapshot follows. */
  readonly resume: 'same' | 'full';
  readonly limits: {
    readonly inboundFrame: number;
    readonly outboundFrame: number;
    readonly heartbeatMs: number;
    /** How long a candidate may be tried. */
    readonly verifyMs: number;
  };
  readonly view: string;
  readonly state: DaemonState;
  /** Programs of this view may rotate secrets. */
  readonly rotation?: boolean;
}

export interface DaemonState {
  readonly kind: 'ready' | 'stale' | 'degraded';
  /** ISO 8601. */
  readonly since: string;
  /** The sources that are not well; never a value. */
  readonly sources: readonly { readonly id: string; readonly code: string }[];
}

interface Delivery extends Position {
  /** Names this delivery; comes back in the `ack` or `nack`. */
  readonly nonce: string;
  /** ISO 8601. */
  readonly committedAt: string;
  readonly cause: string;
  /** Only for showing, and cut where there are many: what changed is found by comparing the settings. */
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  /** How many there are; only where the list is cut. */
  readonly changedTotal?: number;
  readonly removedTotal?: number;
}

export interface SnapshotFrame extends Delivery {
  readonly settings: JsonObject;
}

export interface PatchFrame extends Delivery {
  /** The revision that the operations apply to. */
  readonly base: number;
  readonly operations: readonly Operation[];
}

/** A candidate to be tried and not to be taken: whole, or as a patch. Answered like a snapshot. */
export type VerifyFrame = SnapshotFrame | PatchFrame;

export interface Ack {
  readonly nonce: string;
  /** The one that the program runs now, whatever the frame's was. */
  readonly revision: number;
  /** Milliseconds from the frame's arrival until every handler had run. */
  readonly applyMs: number;
}

export interface Nack {
  readonly nonce: string;
  /** The one that the program runs; the nonce names what it rejects. */
  readonly revision: number;
  readonly code: string;
  readonly paths: readonly string[];
  /** Never a value. */
  readonly message: string;
}

export type RequestKind = 'reload' | 'validate' | 'summary' | 'config' | 'rotate';

export interface RequestFields {
  readonly reason?: string;
  /** With `rotate`: the secret's name, and its new content in base64. */
  readonly secret?: string;
  readonly value?: string;
}

export interface Request extends RequestFields {
  readonly id: string;
  readonly kind: RequestKind;
}

export interface Response {
  readonly id: string;
  readonly ok: boolean;
  readonly result?: JsonValue;
  readonly code?: string;
  readonly message?: string;
  /** With `rate_limited`: when the same may be asked again. */
  readonly retryAfterMs?: number;
}

/** A failure noticed after a snapshot was accepted, or its end. */
export interface Report {
  readonly code: string;
  /** Never a value. */
  readonly message: string;
  readonly recovered?: boolean;
}

export interface Goodbye {
  readonly code: string;
  readonly retryAfterMs?: number;
}

export interface WireError {
  readonly code: string;
  readonly message: string;
  /** True: coming back will not help until something is changed. */
  readonly fatal: boolean;
  readonly retryAfterMs?: number;
}

/** What a program sends. */
export interface ToDaemon {
  hello: Hello;
  ack: Ack;
  nack: Nack;
  report: Report;
  resync: { readonly reason: string };
  ping: { readonly revision: number };
  pong: { readonly revision: number };
  request: Request;
  goodbye: Goodbye;
}

/** What the daemon sends. */
export interface ToClient {
  welcome: Welcome;
  snapshot: SnapshotFrame;
  patch: PatchFrame;
  verify: VerifyFrame;
  state: DaemonState;
  ping: { readonly revision: number };
  pong: { readonly revision: number };
  response: Response;
  goodbye: Goodbye;
  error: WireError;
}

export const toDaemonEvents: readonly (keyof ToDaemon)[] = [
  'hello',
  'ack',
  'nack',
  'report',
  'resync',
  'ping',
  'pong',
  'request',
  'goodbye',
];

export type FrameFor<Events> = { [Type in keyof Events]: { type: Type; data: Events[Type] } }[keyof Events];

/** A program that rejects a snapshot, and why; never a value. */
export interface Rejecting {
  readonly name: string;
  readonly pid: number;
  readonly code: string;
  readonly paths: readonly string[];
  readonly message: string;
}

/** How the rotation of a secret ended. */
export interface RotationResult {
  /** `unconfirmed`: served, but not every program has answered in time. `rejected`: taken back. */
  readonly outcome: 'rotated' | 'unconfirmed' | 'rejected';
  /** Its full name. */
  readonly secret: string;
  /** The version that was added; disabled again when it was rejected. */
  readonly version: number;
  /** The revision that is served now. */
  readonly revision: number;
  readonly message: string;
  readonly code?: string;
  readonly issues: readonly Issue[];
  /** Both are empty for a program, which is told of no other. */
  readonly rejectedBy: readonly Rejecting[];
  readonly unanswered: readonly string[];
}

/** What `config.validate()` and a dry run answer. */
export interface Validation {
  readonly valid: boolean;
  readonly issues: readonly Issue[];
}

/** One frame as text, its delimiter included. */
export function encodeFrame(type: string, data: unknown): string {
  return JSON.stringify({ type, data }) + delimiter;
}

/** A frame that breaks the protocol: over the limit, no JSON, no `{ type, data }`. Its text is never quoted. */
export class FrameError extends Error {
  override name = 'FrameError';
}

/**
 * Cuts a stream of text into frames. Each byte is looked at once, however small the pieces in which it arrives, and
 * what is kept of an unfinished frame never exceeds the limit.
 */
export class FrameSplitter {
  /** Longest frame in characters; may be raised while a frame is unfinished. */
  limit: number;
  #pieces: string[] = [];
  #length = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Characters of the unfinished frame that wait for their end. */
  get pending(): number {
    return this.#length;
  }

  /** The frames that this piece completes, in order. */
  *push(piece: string): Generator<string> {
    let start = 0;
    for (let end = piece.indexOf(delimiter); end !== -1; end = piece.indexOf(delimiter, start)) {
      this.#keep(piece.slice(start, end));
      const frame = this.#pieces.length === 1 ? this.#pieces[0]! : this.#pieces.join('');
      this.#pieces = [];
      this.#length = 0;
      start = end + 1;
      yield frame;
    }
    if (start < piece.length) this.#keep(piece.slice(start));
  }

  // UTF-16 units never outnumber UTF-8 bytes, so this bounds memory; a frame is at most three times the limit in bytes.
  #keep(text: string): void {
    this.#length += text.length;
    if (this.#length > this.limit) throw new FrameError(`a frame is over the limit of ${this.limit} bytes`);
    this.#pieces.push(text);
  }
}

/** A frame's text as `{ type, data }`. Says nothing yet about what is in `data`. */
export function decodeFrame(text: string): { type: string; data: unknown } {
  let frame: unknown;
  try {
    frame = JSON.parse(text);
  } catch {
    throw new FrameError('a frame is not valid JSON');
  }
  if (!isObject(frame) || typeof frame.type !== 'string') throw new FrameError('a frame is not { type, data }');
  return { type: frame.type, data: frame.data };
}
