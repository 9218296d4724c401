import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { type DaemonState, heartbeatMs, helloWithinMs, type Request, type ToDaemon } from '../../schemas/wire.ts';
import type { Clock } from '../ops/clock.ts';
import type { Log } from '../ops/log.ts';
import type { SocketFile, SocketRights } from '../ops/socket-file.ts';
import type { Allowances } from './allowance.ts';
import type { CheckFrame } from './check-frame.ts';
import type { Clean } from './clean-nack.ts';
import type { Doorkeeper } from './doorkeeper.ts';
import { stateFor } from './for-view.ts';
import { Intake } from './intake.ts';
import { IpcSocket } from './ipc-socket.ts';
import type { Answer } from './open-requests.ts';
import { Session } from './session.ts';
import type { SessionEvent } from './session-event.ts';
import { farewellMs, lineTo } from './socket-line.ts';
import type { View } from './view.ts';

export interface ViewServerParts {
  readonly view: View;
  readonly path: string;
  readonly rights: SocketRights;
  readonly doorkeeper: Doorkeeper;
  readonly allowances: Allowances;
  readonly maxFrameBytes: number;
  readonly verifyMs: number;
  readonly checkFrame: CheckFrame;
  readonly clock: Clock;
  readonly log: Log;
  readonly state: () => DaemonState;
  readonly mayRotate: boolean;
  readonly answer: (request: Request, session: Session) => Promise<Answer>;
  readonly onEvent: (event: SessionEvent, session: Session) => void;
  readonly clean: Clean;
}

/** What a line of the log takes besides its message. */
const lineBytes = 300;
/** A program that is refused for what it sends keeps its place so long. */
const refuseAfterMs = 10_000;
const comeBackAfterMs = 5_000;

/** The sessions of one view's socket. Every frame goes through one wrapper, which checks it and owns what its handler throws. */
export class ViewServer {
  readonly #parts: ViewServerParts;
  readonly #ipc: IpcSocket;
  readonly #sessions = new Map<Socket, Session>();
  #stopBeat = () => {};
  #onEmpty = () => {};

  constructor(parts: ViewServerParts) {
    this.#parts = parts;
    this.#ipc = new IpcSocket({
      path: parts.path,
      rights: parts.rights,
      onConnect: (socket) => this.#connected(socket),
      onDisconnect: (socket) => this.#disconnected(socket),
      onFrame: (type, data, socket) => this.#received(type, data, socket),
      onBadFrame: (message, socket) => this.#badFrame(message, socket),
    });
  }

  get view(): View {
    return this.#parts.view;
  }

  get file(): SocketFile {
    return this.#ipc.file;
  }

  get sessions(): readonly Session[] {
    return [...this.#sessions.values()].filter((session) => session.isLive);
  }

  /** Resolves when programs can connect. */
  async start(): Promise<void> {
    await this.#ipc.start();
    this.#beat();
  }

  /** Offers to each program what it is to run. */
  offer(): void {
    for (const session of this.#sessions.values()) session.offer();
  }

  tellState(state: DaemonState): void {
    const told = stateFor(this.view, state);
    for (const session of this.#sessions.values()) session.tellState(told);
  }

  /** Says goodbye, lets everything be sent, and closes; whoever does not take it in time is cut. */
  async stop(): Promise<void> {
    this.#stopBeat();
    this.#ipc.close();
    for (const session of this.#sessions.values()) session.goodbye('shutting_down', 250);
    await this.#emptied();
    this.#ipc.stop();
  }

  #connected(socket: Socket): void {
    const { doorkeeper, view, clock } = this.#parts;
    if (doorkeeper.isOverrun) return void socket.destroy();
    const peer = doorkeeper.peerOf(socket);
    const refusal = doorkeeper.refusal(view.name, peer);
    const allowance = this.#parts.allowances.of(view.name, peer);
    const line = lineTo(socket, clock, this.#parts.maxFrameBytes);
    const onCaughtUp = () => intake.wake();
    const state = () => stateFor(view, this.#parts.state());
    const session = new Session({ ...this.#parts, id: randomUUID(), peer, line, allowance, onCaughtUp, state });
    const intake = this.#intakeOf(socket, session);
    this.#sessions.set(socket, session);
    doorkeeper.enter(view.name, peer);
    socket.once('close', () => doorkeeper.leave(view.name, peer));
    if (refusal) {
      const { code, message, isFatal } = refusal;
      return session.refuse(code, message, isFatal, isFatal ? undefined : comeBackAfterMs);
    }
    const cancel = clock.after(helloWithinMs, () => {
      if (!session.isLive && !intake.hasStopped)
        session.refuse('hello_timeout', `no hello within ${helloWithinMs} ms`, false);
    });
    socket.once('close', cancel);
  }

  #intakeOf(socket: Socket, session: Session): Intake {
    const intake: Intake = new Intake({
      allowance: session.allowance,
      clock: this.#parts.clock,
      socket,
      deliver: this.#ipc.intercept(socket, (piece) => intake.push(piece)),
      isBehind: () => session.isBehind,
      isLive: () => session.isLive,
      onPause: () => this.#ipc.stopWaiting(socket),
      onTooMuch: (message) => this.#refuseLater(session, socket, message),
    });
    socket.once('close', () => intake.close());
    return intake;
  }

  #refuseLater(session: Session, socket: Socket, message: string): void {
    const refuse = () => session.refuse('too_much', message, false, comeBackAfterMs);
    // A hello that is none ends as one that does not come.
    const cancel = this.#parts.clock.after(session.isLive ? refuseAfterMs : helloWithinMs, refuse);
    socket.once('close', cancel);
  }

  #badFrame(message: string, socket: Socket): void {
    const { log, view } = this.#parts;
    if (this.#sessions.get(socket)?.allowance.mayLog(lineBytes))
      log('warn', 'frame_refused', message, { view: view.name });
  }

  #disconnected(socket: Socket): void {
    this.#sessions.get(socket)?.closed();
    this.#sessions.delete(socket);
    if (this.#sessions.size === 0) this.#onEmpty();
  }

  #received(type: keyof ToDaemon, data: unknown, socket: Socket): void {
    const session = this.#sessions.get(socket);
    if (!session) return;
    try {
      const problem = this.#parts.checkFrame(type, data);
      if (problem !== undefined) return session.refuse('bad_frame', problem, true);
      session.receive(type, data as ToDaemon[keyof ToDaemon])?.catch((error) => this.#failed(type, error, socket));
    } catch (error) {
      this.#failed(type, error as Error, socket);
    }
  }

  /** A bug of ours must cost one session, not the daemon. */
  #failed(type: string, { message }: Error, socket: Socket): void {
    this.#parts.log('error', 'session_failed', `a handler of ${type} failed: ${message}`, { view: this.view.name });
    socket.destroy();
  }

  #beat(): void {
    this.#stopBeat = this.#parts.clock.after(heartbeatMs, () => {
      for (const session of this.#sessions.values()) session.beat();
      this.#parts.allowances.summarize();
      this.#beat();
    });
  }

  #emptied(): Promise<void> {
    if (this.#sessions.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#parts.clock.after(farewellMs, resolve);
      this.#onEmpty = () => {
        cancel();
        resolve();
      };
    });
  }
}
