import {
  type Ack,
  type DaemonState,
  type Hello,
  type Nack,
  protocolVersion,
  type Request,
  type ToDaemon,
} from '../../schemas/wire.ts';
import { type Clock, timestamp } from '../ops/clock.ts';
import type { Allowance } from './allowance.ts';
import { type Clean, cleanNack } from './clean-nack.ts';
import type { Edition } from './edition.ts';
import { type Answer, OpenRequests } from './open-requests.ts';
import { type Line, Outbox } from './outbox.ts';
import type { Peer } from './peer.ts';
import { Pulse } from './pulse.ts';
import type { ReportedFailure, SessionEvent } from './session-event.ts';
import { Slot } from './slot.ts';
import { type SubscriberState, stateOf } from './subscriber-state.ts';
import { Trials, type Verdict } from './trials.ts';
import type { View } from './view.ts';
import { welcomeOf } from './welcome.ts';

export interface SessionParts {
  readonly id: string;
  readonly view: View;
  readonly line: Line;
  /** What it may cost. */
  readonly allowance: Allowance;
  /** Who connected, as the kernel says; `undefined` where it is not asked. */
  readonly peer?: Peer | undefined;
  readonly clock: Clock;
  readonly maxFrameBytes: number;
  /** How long a candidate may be tried. */
  readonly verifyMs: number;
  readonly state: () => DaemonState;
  readonly mayRotate: boolean;
  /** Answers a request; throws what is told to the program. */
  readonly answer: (request: Request, session: Session) => Promise<Answer>;
  readonly onEvent: (event: SessionEvent, session: Session) => void;
  /** Takes secrets and control characters out of what a program says. */
  readonly clean: Clean;
  /** {@link Session.isBehind} has ended. */
  readonly onCaughtUp: () => void;
}

type Leaving = Extract<SessionEvent, { kind: 'left' }>['how'];

/** What a program asks to be sent again costs it a frame for so many bytes. */
const resentPerFrame = 16 * 1024;

/** One program's connection: a state machine over the frames of `schemas/wire.ts`. */
export class Session {
  readonly id: string;
  readonly #parts: SessionParts;
  readonly #slot = new Slot();
  readonly #trials: Trials;
  readonly #pulse: Pulse;
  readonly #outbox: Outbox;
  readonly #requests: OpenRequests;
  /** What is kept of its hello. */
  #hello: { readonly name: string; readonly pid: number } | undefined;
  #can = { patch: false, verify: false, observe: false };
  #isClosed = false;
  #isCanary = false;
  #onFree: (() => void)[] = [];
  #snapshotsSent = 0;
  /** Of the settings that were sent last. */
  #sentBytes = 0;
  #failure: ReportedFailure | undefined;
  #joinedAt = 0;

  constructor(parts: SessionParts) {
    this.id = parts.id;
    this.#parts = parts;
    this.#trials = new Trials({
      clock: parts.clock,
      verifyMs: parts.verifyMs,
      whenFree: () => this.#whenFree(),
      snapshotsSent: () => this.#snapshotsSent,
      send: (candidate, isWhole) => this.#sendCandidate(candidate, isWhole),
      onVote: (isLost) => parts.onEvent({ kind: 'vote', isLost }, this),
    });
    this.#pulse = new Pulse(parts.clock);
    this.#outbox = new Outbox(parts.line, parts.onCaughtUp);
    const answer = (request: Request) => parts.answer(request, this);
    this.#requests = new OpenRequests({ answer, allowance: parts.allowance, outbox: this.#outbox });
  }

  get isLive(): boolean {
    return this.#hello !== undefined && !this.#isClosed;
  }

  /** It does not take the answers that it gets. */
  get isBehind(): boolean {
    return this.#outbox.isBehind;
  }

  get allowance(): Allowance {
    return this.#parts.allowance;
  }

  get view(): View {
    return this.#parts.view;
  }

  get peer(): Peer | undefined {
    return this.#parts.peer;
  }

  get name(): string {
    return this.#hello?.name ?? '';
  }

  /** As the kernel says, or else as the program does. */
  get pid(): number {
    return this.#parts.peer?.pid || (this.#hello?.pid ?? 0);
  }

  /** The revision that the program runs; `undefined` when it is not known to run one of this epoch. */
  get held(): number | undefined {
    return this.#slot.held?.revision;
  }

  /** Its answer to a snapshot is outstanding. */
  get isAnswering(): boolean {
    return this.isLive && this.#slot.inFlight !== undefined;
  }

  get lastNack(): Nack | undefined {
    return this.#slot.rejection;
  }

  get failure(): ReportedFailure | undefined {
    return this.#failure;
  }

  /** Looks on only: a command line, not a program that runs by the settings. */
  get isObserver(): boolean {
    return this.#can.observe;
  }

  /** On the monotonic clock. */
  get joinedAt(): number {
    return this.#joinedAt;
  }

  /** Wants to try candidates before they are committed. */
  get verifies(): boolean {
    return this.isLive && this.#can.verify && this.view.mayVerify;
  }

  /** Changes wait for what it says of them. */
  get hasVote(): boolean {
    return this.#trials.hasVote;
  }

  /** How the program is known across its connections. */
  get voter(): string {
    return `${this.view.name}/${this.name}`;
  }

  /** It runs what it is to run. */
  get isCurrent(): boolean {
    return this.isLive && !this.#slot.inFlight && this.#slot.holds(this.#edition);
  }

  /** It has rejected what it is to run. */
  get isRejecting(): boolean {
    return this.#slot.rejection !== undefined && this.#slot.rejection.nonce === this.#edition?.nonce;
  }

  /** Gets a staged edition before the others do. */
  get isCanary(): boolean {
    return this.#isCanary;
  }

  get state(): SubscriberState {
    return stateOf(this.#slot, this.#edition, this.#pulse.isWeak, this.#parts.clock.monotonic());
  }

  setCanary(isCanary: boolean): void {
    this.#isCanary = isCanary;
  }

  /** Offers what the program is to run, now or when the slot is free. */
  offer(): void {
    const { view, clock, onEvent } = this.#parts;
    const edition = this.#edition;
    if (!this.isLive || !edition) return;
    const overtaken = this.#slot.queue(edition);
    if (overtaken) onEvent({ kind: 'conflated', revision: overtaken.seen.revision }, this);
    if (!this.#slot.wants(edition)) return;
    const { frame } = view.delivery(edition, this.#can.patch ? this.#slot.held : undefined);
    this.#slot.sent(edition, clock.monotonic());
    this.#snapshotsSent++;
    this.#sendSettings(frame);
    onEvent({ kind: 'sent', revision: edition.seen.revision }, this);
  }

  /** Has the program try a candidate; what it runs stays. */
  tryOut(candidate: Edition, since: number): Promise<Verdict> {
    return this.#trials.verdict(candidate, since);
  }

  /** Takes a frame whose data has passed the wire schema. What it throws, or rejects by, is a bug of ours. */
  receive(type: keyof ToDaemon, data: ToDaemon[keyof ToDaemon]): void | Promise<void> {
    // Frames behind a refused hello are still delivered by the parser; they must not be heard.
    if (this.#isClosed) return;
    this.#pulse.heard();
    if (type === 'hello') this.#onHello(data as Hello);
    else if (!this.#hello) this.refuse('hello_expected', 'the first frame must be a hello', true);
    else return this.#receiveLive(type, data);
  }

  /** Sends a heartbeat, which tells a program whether a push was lost, or closes after two that stayed unanswered. */
  beat(): void {
    if (!this.isLive) return;
    if (this.#pulse.beat(this.#parts.line.progress())) {
      this.allowance.expectAnswer();
      this.#outbox.sendNewest('ping', { revision: this.#slot.sentRevision });
    } else this.#parts.line.destroy();
  }

  tellState(state: DaemonState): void {
    if (this.isLive) this.#outbox.sendNewest('state', state);
  }

  refuse(code: string, message: string, fatal: boolean, retryAfterMs?: number): void {
    if (this.#isClosed) return;
    this.#outbox.send('error', { code, message, fatal, ...(retryAfterMs !== undefined && { retryAfterMs }) });
    this.#parts.onEvent({ kind: 'refused', code, message }, this);
    this.#close('lost');
  }

  goodbye(code: string, retryAfterMs: number): void {
    if (this.#isClosed) return;
    this.#outbox.send('goodbye', { code, retryAfterMs });
    this.#close('dismissed');
  }

  /** The socket is gone. */
  closed(): void {
    this.#end('lost');
  }

  #close(how: Leaving): void {
    this.#end(how);
    this.#parts.line.end();
  }

  #end(how: Leaving): void {
    if (this.#isClosed) return;
    const { onEvent } = this.#parts;
    this.#isClosed = true;
    this.#outbox.close();
    this.#trials.end();
    this.#unanswer();
    this.#freed();
    if (this.#hello) onEvent({ kind: 'left', how }, this);
  }

  get #edition(): Edition | undefined {
    const { current, staged } = this.#parts.view;
    return this.#isCanary ? (staged ?? current) : current;
  }

  #receiveLive(type: keyof ToDaemon, data: ToDaemon[keyof ToDaemon]): void | Promise<void> {
    if (type === 'request') return this.#requests.take(data as Request);
    if (type === 'ack') this.#onAck(data as Ack);
    else if (type === 'nack') this.#onNack(data as Nack);
    else if (type === 'resync') this.#onResync();
    else if (type === 'ping') this.#outbox.sendPong(this.#edition?.seen.revision ?? 0);
    else if (type === 'pong') this.#onPong((data as ToDaemon['pong']).revision);
    else if (type === 'report') this.#onReport(data as ToDaemon['report']);
    else if (type === 'goodbye') this.#close('goodbye');
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
    this.#hello = { name: this.#parts.clean(hello.name), pid: hello.pid };
    const can = (capability: string) => hello.capabilities.includes(capability);
    this.#can = { patch: can('patch'), verify: can('verify'), observe: can('observe') };
    // It was one of the first to run what is staged, or an earlier stage of it, and lost us meanwhile.
    const { current, staged } = this.#parts.view;
    if (staged?.isHeldAt(hello.last) || (staged && current?.isBehind(hello.last))) this.#isCanary = true;
    const edition = this.#edition;
    const hasIt = edition?.isHeldAt(hello.last) === true;
    if (hasIt) this.#slot.hold(edition!, hello.last!);
    this.#joinedAt = this.#parts.clock.monotonic();
    this.#outbox.send('welcome', welcomeOf(this.#parts, hasIt, edition?.position));
    this.#parts.onEvent({ kind: 'joined' }, this);
    if (this.#edition?.isBehind(hello.last))
      this.#parts.onEvent({ kind: 'ahead', revision: hello.last!.revision }, this);
    this.offer();
  }

  #onAck({ nonce, revision, applyMs }: Ack): void {
    const { clock, onEvent } = this.#parts;
    if (this.#trials.answer(nonce)) return;
    const answered = this.#slot.answered(nonce);
    if (!answered) return;
    const { edition, sentAt } = answered;
    if (revision === edition.position.revision) {
      this.#slot.hold(edition, edition.position);
      const waitedMs = clock.monotonic() - sentAt;
      onEvent({ kind: 'accepted', revision, applyMs, waitedMs }, this);
    } else {
      // It has taken note of what it was sent, and runs something else.
      this.#slot.release();
      onEvent({ kind: 'unanswered', revision: edition.position.revision }, this);
      if (revision > edition.position.revision) onEvent({ kind: 'ahead', revision }, this);
    }
    this.#freed();
    this.offer();
  }

  #onNack(said: Nack): void {
    const { clean, onEvent } = this.#parts;
    const nack = cleanNack(said, clean);
    if (this.#trials.answer(nack.nonce, nack)) return;
    const answered = this.#slot.answered(nack.nonce);
    if (!answered) return;
    // What it says to have rejected is believed by nobody: it is what it was sent.
    const rejection = { ...nack, revision: answered.edition.position.revision };
    this.#slot.reject(rejection);
    onEvent({ kind: 'rejected', nack: rejection }, this);
    this.#freed();
    this.offer();
  }

  #onResync(): void {
    this.#unanswer();
    this.#slot.forget();
    this.#freed();
    this.offer();
    if (this.#slot.inFlight) this.allowance.spend(this.#sentBytes / resentPerFrame);
  }

  #whenFree(): Promise<void> {
    if (!this.#slot.inFlight || this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => void this.#onFree.push(resolve));
  }

  #freed(): void {
    for (const resolve of this.#onFree.splice(0)) resolve();
  }

  #sendCandidate(candidate: Edition, isWhole: boolean): void {
    const { view } = this.#parts;
    // While a snapshot is under way it is not known what the program will hold when it comes to this.
    const held = this.#can.patch && !isWhole && !this.#slot.inFlight ? this.#slot.held : undefined;
    this.#sendSettings(view.delivery(candidate, held).frame);
  }

  #sendSettings(frame: Buffer): void {
    this.allowance.expectAnswer();
    this.#sentBytes = frame.length;
    this.#outbox.sendShared(frame);
  }

  #unanswer(): void {
    const { inFlight } = this.#slot;
    if (inFlight) this.#parts.onEvent({ kind: 'unanswered', revision: inFlight.edition.seen.revision }, this);
  }

  // What a program runs, told with every heartbeat, shows a push that was lost on the way.
  #onPong(revision: number): void {
    const { inFlight, held, rejection } = this.#slot;
    if (inFlight || rejection || held === undefined || revision === held.revision) return;
    this.#onResync();
  }

  #onReport({ code, message, recovered = false }: ToDaemon['report']): void {
    const { clean, clock, onEvent } = this.#parts;
    const said = { code: clean(code), message: clean(message, 'message') };
    const since = this.#failure?.code === said.code ? this.#failure.since : timestamp(clock);
    this.#failure = recovered ? undefined : { ...said, since };
    onEvent({ kind: 'reported', ...said, recovered }, this);
  }
}
