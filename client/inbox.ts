import type { Nack, PatchFrame, Position, SnapshotFrame, ToDaemon, VerifyFrame } from '../schemas/wire.ts';
import { type Received, Receiver } from './receiver.ts';
import { Rejection } from './rejection.ts';
import type { Connection } from './transport.ts';

export interface InboxParts {
  /** Takes settings in. Throws `Rejection`; whatever else it throws counts as one. */
  readonly adopt: (settings: Extract<Received, { kind: 'new' }>, frame: SnapshotFrame | PatchFrame) => Promise<void>;
  /** Tries settings without taking them. Throws as {@link adopt}. */
  readonly tryOut: (settings: Extract<Received, { kind: 'new' }>, signal: AbortSignal) => Promise<void>;
  /** A snapshot was answered. */
  readonly onAnswered: (connection: Connection) => void;
}

/**
 * What the daemon sends for the program, taken one at a time: while handlers run, the newest snapshot waits in one slot
 * and the newest candidate in another. Everything is answered.
 */
export class Inbox {
  /** How long a candidate may be tried, in milliseconds. */
  verifyMs = 10_000;
  readonly #parts: InboxParts;
  readonly #receiver = new Receiver();
  #snapshot: (() => Promise<void>) | undefined;
  #candidate: (() => Promise<void>) | undefined;
  #cameRevision = 0;
  #isBusy = false;
  #isClosed = false;

  constructor(parts: InboxParts) {
    this.#parts = parts;
  }

  /** What this program has; the daemon sends nothing when it is the same. */
  get position(): Position | undefined {
    return this.#receiver.position;
  }

  /** The revision that last came, whatever became of it. */
  get cameRevision(): number {
    return this.#cameRevision;
  }

  take(type: 'snapshot' | 'patch' | 'verify', data: unknown, connection: Connection): void {
    if (type === 'verify') this.#candidate = () => this.#tryOut(data as VerifyFrame, connection);
    else {
      const frame = data as SnapshotFrame | PatchFrame;
      this.#cameRevision = frame.revision;
      this.#snapshot = () => this.#adopt(type, frame, connection);
    }
    if (!this.#isBusy) void this.#drain();
  }

  close(): void {
    this.#isClosed = true;
  }

  async #drain(): Promise<void> {
    this.#isBusy = true;
    try {
      for (let task = this.#next(); task && !this.#isClosed; task = this.#next()) await task();
    } finally {
      this.#isBusy = false;
    }
  }

  /** A snapshot comes before a candidate, which may build on it. */
  #next(): (() => Promise<void>) | undefined {
    const task = this.#snapshot ?? this.#candidate;
    if (this.#snapshot) this.#snapshot = undefined;
    else this.#candidate = undefined;
    return task;
  }

  async #adopt(type: 'snapshot' | 'patch', frame: SnapshotFrame | PatchFrame, connection: Connection): Promise<void> {
    const received = usable(() =>
      type === 'snapshot' ? this.#receiver.snapshot(frame as SnapshotFrame) : this.#receiver.patch(frame as PatchFrame),
    );
    if (received.kind === 'unusable') return connection.send('resync', { reason: received.reason });
    await this.#answered(frame, connection, async () => {
      if (received.kind === 'old') return;
      await this.#parts.adopt(received, frame);
      this.#receiver.accept(received);
    });
    if (!this.#isClosed) this.#parts.onAnswered(connection);
  }

  async #tryOut(frame: VerifyFrame, connection: Connection): Promise<void> {
    const received = usable(() => this.#receiver.candidate(frame));
    const { nonce, revision } = frame;
    if (received.kind !== 'new')
      return answer(connection, 'nack', { nonce, revision, code: 'base_missing', paths: [], message: '' });
    const signal = AbortSignal.timeout(this.verifyMs);
    const tooLate = Promise.withResolvers<never>();
    const late = new Rejection('verify_timeout', [], `it took longer than ${this.verifyMs} ms`, {});
    signal.addEventListener('abort', () => tooLate.reject(late));
    tooLate.promise.catch(() => {});
    await this.#answered(frame, connection, () =>
      Promise.race([this.#parts.tryOut(received, signal), tooLate.promise]),
    );
  }

  async #answered({ nonce, revision }: Pick<Nack, 'nonce' | 'revision'>, to: Connection, task: () => Promise<void>) {
    const startedAt = performance.now();
    try {
      await task();
      answer(to, 'ack', { nonce, revision, applyMs: roundMs(performance.now() - startedAt) });
    } catch (error) {
      const { code = 'handler_failed', paths = [], message = '' } = error instanceof Rejection ? error : {};
      answer(to, 'nack', { nonce, revision, code, paths, message });
    }
  }
}

/** In the next turn: other configs of this process that wait for the same change come first. */
function answer<Type extends 'ack' | 'nack'>(connection: Connection, type: Type, data: ToDaemon[Type]): void {
  setImmediate(() => connection.send(type, data));
}

/** A frame that is not what it should be is as unusable as one that does not fit. */
function usable(receive: () => Received): Received {
  try {
    return receive();
  } catch {
    return { kind: 'unusable', reason: 'the frame is malformed' };
  }
}

const roundMs = (ms: number) => Math.round(ms * 1_000) / 1_000;
