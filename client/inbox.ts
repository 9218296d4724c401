import type { Nack, PatchFrame, Position, SnapshotFrame, ToDaemon, VerifyFrame } from '../schemas/wire.ts';
import { deferred } from './node20.ts';
import { type Received, Receiver } from './receiver.ts';
import { Rejection } from './rejection.ts';
import type { Connection } from './transport.ts';

/** Nothing to wait for, or a promise. Most programs have nothing to wait for, and promises would cost more than the rest. */
type MaybeLater = void | Promise<void>;

export interface InboxParts {
  /** Takes settings in, at once or later. Throws or rejects by `Rejection`; whatever else it throws counts as one. */
  readonly adopt: (settings: Extract<Received, { kind: 'new' }>, frame: SnapshotFrame | PatchFrame) => MaybeLater;
  readonly onRejected: (error: Rejection) => void;
  /** Tries settings without taking them. Rejects as {@link adopt}. */
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
  #snapshot: (() => MaybeLater) | undefined;
  #candidate: (() => MaybeLater) | undefined;
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
    if (!this.#isBusy) this.#work();
  }

  close(): void {
    this.#isClosed = true;
  }

  #work(): void {
    for (let task = this.#next(); task && !this.#isClosed; task = this.#next()) {
      const later = task();
      if (!later) continue;
      this.#isBusy = true;
      void later.finally(() => {
        this.#isBusy = false;
        this.#work();
      });
      return;
    }
  }

  /** A snapshot comes before a candidate, which may build on it. */
  #next(): (() => MaybeLater) | undefined {
    const task = this.#snapshot ?? this.#candidate;
    if (this.#snapshot) this.#snapshot = undefined;
    else this.#candidate = undefined;
    return task;
  }

  #adopt(type: 'snapshot' | 'patch', frame: SnapshotFrame | PatchFrame, connection: Connection): MaybeLater {
    const received = this.#received(type, frame);
    if (received.kind === 'unusable') return connection.send('resync', { reason: received.reason });
    const startedAt = performance.now();
    const taken = () => {
      if (received.kind === 'new') this.#receiver.accept(received);
      accept(connection, frame, startedAt);
      this.#parts.onAnswered(connection);
    };
    const refused = (error: unknown) => {
      if (error instanceof Rejection) this.#parts.onRejected(error);
      reject(connection, frame, error);
      this.#parts.onAnswered(connection);
    };
    let later: MaybeLater;
    try {
      later = received.kind === 'new' ? this.#parts.adopt(received, frame) : undefined;
    } catch (error) {
      return refused(error);
    }
    return later ? later.then(taken, refused) : taken();
  }

  /** A frame that is not what it should be is as unusable as one that does not fit. */
  #received(type: 'snapshot' | 'patch' | 'verify', frame: SnapshotFrame | PatchFrame): Received {
    try {
      if (type === 'verify') return this.#receiver.candidate(frame);
      return type === 'snapshot'
        ? this.#receiver.snapshot(frame as SnapshotFrame)
        : this.#receiver.patch(frame as PatchFrame);
    } catch {
      return { kind: 'unusable', reason: 'the frame is malformed' };
    }
  }

  async #tryOut(frame: VerifyFrame, connection: Connection): Promise<void> {
    const received = this.#received('verify', frame);
    const { nonce, revision } = frame;
    if (received.kind !== 'new')
      return answer(connection, 'nack', { nonce, revision, code: 'base_missing', paths: [], message: '' });
    const signal = AbortSignal.timeout(this.verifyMs);
    const tooLate = deferred<never>();
    const late = new Rejection('verify_timeout', [], `it took longer than ${this.verifyMs} ms`, {});
    signal.addEventListener('abort', () => tooLate.reject(late));
    tooLate.promise.catch(() => {});
    const startedAt = performance.now();
    try {
      await Promise.race([this.#parts.tryOut(received, signal), tooLate.promise]);
      accept(connection, frame, startedAt);
    } catch (error) {
      reject(connection, frame, error);
    }
  }
}

type Asked = Pick<Nack, 'nonce' | 'revision'>;

function accept(connection: Connection, { nonce, revision }: Asked, startedAt: number): void {
  const applyMs = Math.round((performance.now() - startedAt) * 1_000) / 1_000;
  answer(connection, 'ack', { nonce, revision, applyMs });
}

function reject(connection: Connection, { nonce, revision }: Asked, error: unknown): void {
  const { code = 'handler_failed', paths = [], message = '' } = error instanceof Rejection ? error : {};
  answer(connection, 'nack', { nonce, revision, code, paths, message });
}

/** In the next turn: other configs of this process that wait for the same change come first. */
function answer<Type extends 'ack' | 'nack'>(connection: Connection, type: Type, data: ToDaemon[Type]): void {
  setImmediate(() => connection.send(type, data));
}
