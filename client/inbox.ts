import type { PatchFrame, Position, SnapshotFrame, ToDaemon, VerifyFrame, Welcome } from '../schemas/wire.ts';
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
  /** A snapshot from this connection was answered. `isNew`: the program accepted it, so it holds another revision now. */
  readonly onAnswered: (connection: Connection, isNew: boolean) => void;
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
  #trial: AbortController | undefined;
  #isBusy = false;
  #isClosed = false;

  constructor(parts: InboxParts) {
    this.#parts = parts;
  }

  /** What this program has; the daemon sends nothing when it is the same. */
  get position(): Position | undefined {
    return this.#receiver.position;
  }

  /** The last revision that arrived over this connection, or that the daemon resumed from, whether accepted or not. */
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

  /** A new connection was accepted. Its revisions may belong to another epoch. */
  connected(resume: Welcome['resume']): void {
    this.#cameRevision = resume === 'same' ? (this.position?.revision ?? 0) : 0;
  }

  /** The connection is gone: no candidate needs an answer any more. */
  lost(): void {
    this.#candidate = undefined;
    this.#trial?.abort();
  }

  close(): void {
    this.#isClosed = true;
    this.lost();
  }

  #work(): void {
    for (let task = this.#next(); task && !this.#isClosed; task = this.#next()) {
      const later = task();
      if (!later) continue;
      this.#isBusy = true;
      void later.catch(warnOfBug).finally(() => {
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
    if (received.kind === 'unusable') return askAgain(type, received.reason, connection);
    const startedAt = performance.now();
    const taken = () => {
      if (received.kind === 'new') this.#receiver.accept(received);
      this.#accept(connection, frame, startedAt);
      this.#parts.onAnswered(connection, received.kind === 'new');
    };
    const refused = (error: unknown) => {
      if (error instanceof Rejection) this.#parts.onRejected(error);
      this.#reject(connection, frame, error);
      this.#parts.onAnswered(connection, false);
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
    if (received.kind !== 'new') return this.#reject(connection, frame, unusableCandidate(frame));
    const startedAt = performance.now();
    const trial = new AbortController();
    this.#trial = trial;
    const tooLate = () => trial.abort(new DOMException('it took too long', 'TimeoutError'));
    const timer = setTimeout(tooLate, this.verifyMs).unref();
    try {
      await Promise.race([this.#parts.tryOut(received, trial.signal), this.#aborted(trial.signal)]);
      this.#accept(connection, frame, startedAt);
    } catch (error) {
      this.#reject(connection, frame, error);
    } finally {
      clearTimeout(timer);
    }
  }

  #aborted(signal: AbortSignal): Promise<never> {
    const late = new Rejection('verify_timeout', [], `it took longer than ${this.verifyMs} ms`, {});
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(late)));
  }

  #accept(connection: Connection, { nonce }: VerifyFrame, startedAt: number): void {
    const applyMs = Math.round((performance.now() - startedAt) * 1_000) / 1_000;
    this.#answer(connection, 'ack', { nonce, revision: this.#heldRevision, applyMs });
  }

  #reject(connection: Connection, { nonce }: VerifyFrame, error: unknown): void {
    const { code = 'handler_failed', paths = [], message = '' } = error instanceof Rejection ? error : {};
    this.#answer(connection, 'nack', { nonce, revision: this.#heldRevision, code, paths, message });
  }

  /** The revision that the program runs. It differs from the frame's when the program ignored or rejected the frame. */
  get #heldRevision(): number {
    return this.position?.revision ?? 0;
  }

  /** In the next turn: other configs of this process that wait for the same change come first. */
  #answer<Type extends 'ack' | 'nack'>(connection: Connection, type: Type, data: ToDaemon[Type]): void {
    setImmediate(() => this.#isClosed || connection.send(type, data));
  }
}

/** Requests the whole snapshot after a patch that does not apply. Disconnects after an unusable whole snapshot, which would only come again. */
function askAgain(type: 'snapshot' | 'patch', reason: string, connection: Connection): void {
  if (type === 'patch') connection.send('resync', { reason });
  else connection.destroy();
}

/** With `base_missing` the daemon sends the candidate again, whole. */
function unusableCandidate(frame: VerifyFrame): Rejection {
  return 'settings' in frame
    ? new Rejection('verify_failed', [], 'the candidate cannot be read', {})
    : new Rejection('base_missing', [], '', {});
}

function warnOfBug({ name }: Error): void {
  process.emitWarning(`a bug in hotconf's client: ${name}; please report it`, 'HotconfWarning');
}
