import type { JsonValue } from '../../schemas/json.ts';
import {
  type Ack,
  type DaemonState,
  encodeFrame,
  type Hello,
  heartbeatMs,
  maxInboundFrame,
  type Nack,
  protocolVersion,
  type Request,
  type ToClient,
  type ToDaemon,
  type Welcome,
} from '../../schemas/wire.ts';
import type { Clock } from '../ops/clock.ts';
import type { View } from './view.ts';

/** What a session needs of its socket. */
export interface Line {
  write(frame: string | Buffer): void;
  /** Bytes that are written and not yet taken by the program. */
  pending(): number;
  /** Sends what is written and closes. */
  end(): void;
  destroy(): void;
}

export interface SessionParts {
  readonly id: string;
  readonly view: View;
  readonly line: Line;
  readonly clock: Clock;
  readonly maxFrameBytes: number;
  readonly state: () => DaemonState;
  readonly mayRotate: boolean;
  /** Answers a request; throws what is told to the program. */
  readonly answer: (request: Request, session: Session) => Promise<JsonValue>;
  readonly onEvent: (event: SessionEvent, session: Session) => void;
  /** Takes secrets out of what a program says. */
  readonly clean: (text: string) => string;
}

export type SessionEvent =
  | { readonly kind: 'joined' }
  | { readonly kind: 'accepted'; readonly revision: number; readonly applyMs: number; readonly waitedMs: number }
  | { readonly kind: 'rejected'; readonly nack: Nack }
  | { readonly kind: 'reported'; readonly code: string; readonly message: string; readonly recovered: boolean }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string };

/** How a program stands to the current revision. */
export type SubscriberState = 'waiting' | 'current' | 'pending' | 'late' | 'rejected';

const pendingAfterMs = 10_000;
const lateAfterMs = 30_000;
const maxOpenRequests = 8;
/** Bytes of answers that a program may leave unread before it gets no more. */
const maxPendingAnswers = 1024 * 1024;

/**
 * One program's connection. It has one slot: while an answer to a snapshot is outstanding nothing more is sent, and
 * what was committed meanwhile goes out as one when the answer comes. A program that never answers costs this slot.
 */
export class Session {
  readonly id: string;
  readonly #parts: SessionParts;
  #hello: Hello | undefined;
  #isClosed = false;
  #inFlight: { readonly nonce: string; readonly revision: number; readonly sentAt: number } | undefined;
  /** The revision that the program runs; `undefined` when it is not known to run one of this epoch. */
  #held: number | undefined;
  /** The revision that was last sent, whatever became of it. */
  #offered: number | undefined;
  #lastNack: Nack | undefined;
  #unanswered = 0;
  #openRequests = 0;

  constructor(parts: SessionParts) {
    this.id = parts.id;
    this.#parts = parts;
  }

  get isLive(): boolean {
    return this.#hello !== undefined && !this.#isClosed;
  }

  get name(): string {
    return this.#hello?.name ?? '';
  }

  get pid(): number {
    return this.#hello?.pid ?? 0;
  }

  get held(): number | undefined {
    return this.#held;
  }

  /** Its answer to a snapshot is outstanding. */
  get isAnswering(): boolean {
    return this.isLive && this.#inFlight !== undefined;
  }

  get lastNack(): Nack | undefined {
    return this.#lastNack;
  }

  /** Looks on only: a command line, not a program that runs by the settings. */
  get isObserver(): boolean {
    return this.#hello?.capabilities.includes('observe') ?? false;
  }

  get state(): SubscriberState {
    if (this.#lastNack && this.#lastNack.revision === this.#parts.view.snapshot?.revision) return 'rejected';
    if (!this.#inFlight) return this.#held === undefined ? 'waiting' : 'current';
    const waitedMs = this.#parts.clock.monotonic() - this.#inFlight.sentAt;
    return waitedMs > lateAfterMs ? 'late' : waitedMs > pendingAfterMs ? 'pending' : 'waiting';
  }

  /** Offers the view's current snapshot, now or when the slot is free. */
  offer(): void {
    const { view, line, clock } = this.#parts;
    if (!this.isLive || this.#inFlight || view.snapshot === undefined || this.#offered === view.snapshot.revision)
      return;
    const delivery = view.delivery(this.#hello!.capabilities.includes('patch') ? this.#held : undefined)!;
    this.#inFlight = { nonce: delivery.nonce, revision: delivery.revision, sentAt: clock.monotonic() };
    this.#offered = delivery.revision;
    line.write(delivery.frame);
  }

  /** Takes a frame whose data has passed the wire schema. */
  receive(type: keyof ToDaemon, data: ToDaemon[keyof ToDaemon]): void {
    // Frames behind a refused hello are still delivered by the parser; they must not be heard.
    if (this.#isClosed) return;
    this.#unanswered = 0;
    if (type === 'hello') this.#onHello(data as Hello);
    else if (!this.#hello) this.refuse('hello_expected', 'the first frame must be a hello', true);
    else this.#receiveLive(type, data);
  }

  /** Sends a heartbeat, or closes after two that stayed unanswered. */
  beat(ping: Buffer): void {
    if (!this.isLive) return;
    if (this.#unanswered >= 2) return this.#parts.line.destroy();
    this.#unanswered++;
    this.#parts.line.write(ping);
  }

  tellState(state: DaemonState): void {
    if (this.isLive) this.#send('state', state);
  }

  refuse(code: string, message: string, fatal: boolean): void {
    if (this.#isClosed) return;
    this.#send('error', { code, message, fatal });
    this.#parts.onEvent({ kind: 'refused', code, message }, this);
    this.close();
  }

  goodbye(code: string, retryAfterMs: number): void {
    if (this.#isClosed) return;
    this.#send('goodbye', { code, retryAfterMs });
    this.close();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#parts.line.end();
  }

  /** The socket is gone. */
  closed(): void {
    this.#isClosed = true;
  }

  #receiveLive(type: keyof ToDaemon, data: ToDaemon[keyof ToDaemon]): void {
    if (type === 'ack') this.#onAck(data as Ack);
    else if (type === 'nack') this.#onNack(data as Nack);
    else if (type === 'resync') this.#onResync();
    else if (type === 'request') void this.#onRequest(data as Request);
    else if (type === 'ping') this.#send('pong', { revision: this.#parts.view.snapshot?.revision ?? 0 });
    else if (type === 'pong') this.#onPong((data as ToDaemon['pong']).revision);
    else if (type === 'report') this.#onReport(data as ToDaemon['report']);
    else if (type === 'goodbye') this.close();
  }

  #onHello(hello: Hello): void {
    if (this.#hello) return this.refuse('hello_twice', 'a session has one hello', true);
    if (hello.protocol !== protocolVersion) {
      return this.refuse(
        'protocol_unsupported',
        `this daemon speaks protocol ${protocolVersion}, the program ${hello.protocol}; bring both to one version`,
        true,
      );
    }
    this.#hello = hello;
    const { snapshot } = this.#parts.view;
    const hasIt =
      snapshot !== undefined &&
      hello.last?.epoch === snapshot.epoch &&
      hello.last.revision === snapshot.revision &&
      hello.last.digest === snapshot.digest;
    if (hasIt) this.#held = this.#offered = snapshot.revision;
    this.#send('welcome', this.#welcome(hasIt));
    this.#parts.onEvent({ kind: 'joined' }, this);
    this.offer();
  }

  #welcome(hasIt: boolean): Welcome {
    const { id, view, maxFrameBytes, state, mayRotate } = this.#parts;
    return {
      protocol: protocolVersion,
      session: id,
      epoch: view.snapshot?.epoch ?? '',
      revision: view.snapshot?.revision ?? 0,
      resume: hasIt ? 'same' : 'full',
      limits: { inboundFrame: maxInboundFrame, outboundFrame: maxFrameBytes, heartbeatMs },
      view: view.name,
      state: state(),
      rotation: mayRotate,
    };
  }

  #onAck({ nonce, revision, applyMs }: Ack): void {
    const answered = this.#answered(nonce);
    if (!answered) return;
    this.#held = revision;
    this.#lastNack = undefined;
    this.#parts.onEvent(
      { kind: 'accepted', revision, applyMs, waitedMs: this.#parts.clock.monotonic() - answered.sentAt },
      this,
    );
    this.offer();
  }

  #onNack(said: Nack): void {
    if (!this.#answered(said.nonce)) return;
    const { clean } = this.#parts;
    const nack = { ...said, code: clean(said.code), message: clean(said.message), paths: said.paths.map(clean) };
    this.#lastNack = nack;
    this.#parts.onEvent({ kind: 'rejected', nack }, this);
    this.offer();
  }

  /** Frees the slot when this is the answer that it waits for; an older one says nothing any more. */
  #answered(nonce: string) {
    const waiting = this.#inFlight?.nonce === nonce ? this.#inFlight : undefined;
    if (waiting) this.#inFlight = undefined;
    return waiting;
  }

  #onResync(): void {
    this.#inFlight = undefined;
    this.#held = undefined;
    this.#offered = undefined;
    this.offer();
  }

  // What a program runs, told with every heartbeat, shows a push that was lost on the way.
  #onPong(revision: number): void {
    if (this.#inFlight || this.#lastNack || this.#held === undefined || revision === this.#held) return;
    this.#onResync();
  }

  #onReport({ code, message, recovered = false }: ToDaemon['report']): void {
    this.#parts.onEvent({ kind: 'reported', code, message, recovered }, this);
  }

  async #onRequest(request: Request): Promise<void> {
    const { id } = request;
    if (this.#openRequests >= maxOpenRequests || this.#parts.line.pending() > maxPendingAnswers)
      return this.#send('response', { id, ok: false, code: 'busy', message: 'too many open requests' });
    this.#openRequests++;
    try {
      const result = await this.#parts.answer(request, this);
      if (!this.#isClosed) this.#send('response', { id, ok: true, result });
    } catch (error) {
      const { code = 'internal', message } = error as { code?: string; message: string };
      if (!this.#isClosed) this.#send('response', { id, ok: false, code, message });
    } finally {
      this.#openRequests--;
    }
  }

  #send<Type extends keyof ToClient>(type: Type, data: ToClient[Type]): void {
    this.#parts.line.write(encodeFrame(type, data));
  }
}
