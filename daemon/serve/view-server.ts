import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { IPCModule } from 'node-ipc';
import type { JsonValue } from '../../schemas/json.ts';
import {
  type DaemonState,
  encodeFrame,
  heartbeatMs,
  helloWithinMs,
  maxInboundFrame,
  type Request,
  type ToDaemon,
  toDaemonEvents,
} from '../../schemas/wire.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { Clock } from '../ops/clock.ts';
import type { Log } from '../ops/log.ts';
import { SocketFile } from '../ops/socket-file.ts';
import type { CheckFrame } from './check-frame.ts';
import { FrameParser } from './frame-parser.ts';
import type { Answers } from './rotation.ts';
import { Session, type SessionEvent } from './session.ts';
import type { View } from './view.ts';

export interface ViewServerParts {
  readonly view: View;
  readonly path: string;
  readonly mode: number;
  readonly maxClients: number;
  readonly maxFrameBytes: number;
  readonly checkFrame: CheckFrame;
  readonly clock: Clock;
  readonly log: Log;
  readonly state: () => DaemonState;
  readonly mayRotate: boolean;
  readonly answer: (request: Request, session: Session) => Promise<JsonValue>;
  readonly onEvent: (event: SessionEvent, session: Session) => void;
  readonly clean: (text: string) => string;
}

/** What an unfinished frame may take. */
const messageTimeoutMs = 10_000;
const farewellMs = 2_000;

/**
 * One view's socket. The only home of node-ipc, whose events, errors and sockets end here: every frame goes through one
 * wrapper, which checks it and owns whatever its handler throws.
 */
export class ViewServer {
  readonly #parts: ViewServerParts;
  readonly #ipc = new IPCModule();
  readonly #file: SocketFile;
  readonly #sessions = new Map<Socket, Session>();
  readonly #answerWaits = new Set<() => void>();
  #stopBeat = () => {};

  constructor(parts: ViewServerParts) {
    this.#parts = parts;
    this.#file = new SocketFile(parts.path);
    const { config } = this.#ipc;
    Object.assign(config, { silent: true, unlink: false, maxConnections: parts.maxClients });
    // The session's one slot bounds what is pending; node-ipc's own bound would cut honest programs off.
    Object.assign(config, {
      maxMessageSize: maxInboundFrame,
      maxPendingBytes: Number.POSITIVE_INFINITY,
      messageTimeout: messageTimeoutMs,
    });
    config.parser = new FrameParser(config, (error) =>
      parts.log('warn', 'frame_refused', error.message, { view: parts.view.name }),
    );
  }

  get sessions(): readonly Session[] {
    return [...this.#sessions.values()].filter((session) => session.isLive);
  }

  /** Resolves when programs can connect. */
  async start(): Promise<void> {
    await this.#file.publish((temporary) => {
      this.#ipc.serve(temporary, () => {});
      this.#listen();
      this.#ipc.server.start();
      return this.#ipc.server.server;
    }, this.#parts.mode);
    this.#beat();
  }

  publish(snapshot: Snapshot): void {
    this.#parts.view.publish(snapshot);
    for (const session of this.#sessions.values()) session.offer();
  }

  tellState(state: DaemonState): void {
    for (const session of this.#sessions.values()) session.tellState(state);
  }

  /** Resolves when every program has answered what it was sent, or after a time. */
  async allAnswered(withinMs: number): Promise<void> {
    const isOpen = () => this.sessions.some((session) => session.isAnswering);
    const { promise, resolve } = Promise.withResolvers<void>();
    const check = () => isOpen() || resolve();
    const cancel = this.#parts.clock.after(withinMs, resolve);
    this.#answerWaits.add(check);
    check();
    await promise;
    this.#answerWaits.delete(check);
    cancel();
  }

  /** How the programs took a revision, as soon as all have answered or after a time. */
  async answersTo(revision: number, withinMs: number): Promise<Answers> {
    await this.allAnswered(withinMs);
    const rejecting = this.sessions.filter(({ lastNack }) => lastNack !== undefined && lastNack.revision >= revision);
    const rejectedBy = rejecting.map(({ name, pid, lastNack }) => {
      const { code, paths, message } = lastNack!;
      return { name, pid, code, paths, message };
    });
    return { rejectedBy, unanswered: this.sessions.filter(({ isAnswering }) => isAnswering).map(({ name }) => name) };
  }

  /** Says goodbye, lets everything be sent, and closes; whoever does not take it in time is cut. */
  async stop(): Promise<void> {
    this.#stopBeat();
    this.#file[Symbol.dispose]();
    this.#ipc.server?.server?.close();
    for (const session of this.#sessions.values()) session.goodbye('shutting_down', 250);
    await this.#emptied(farewellMs);
    this.#ipc.server?.stop();
  }

  #listen(): void {
    const { server } = this.#ipc;
    server.on('connect', (socket: Socket) => this.#connected(socket));
    server.on('socket.disconnected', (socket: Socket) => this.#disconnected(socket));
    // A socket's failure ends in its 'close', and the parser has told what it refused.
    server.on('error', () => {});
    for (const type of toDaemonEvents)
      server.on(type, (data: unknown, socket: Socket) => this.#received(type, data, socket));
  }

  #connected(socket: Socket): void {
    const { view, clock, maxFrameBytes, state, mayRotate, answer, onEvent, clean } = this.#parts;
    const line = {
      write: (frame: string | Buffer) => this.#write(socket, frame),
      pending: () => socket.writableLength,
      end: () => this.#hangUp(socket),
      destroy: () => socket.destroy(),
    };
    const told: typeof onEvent = (event, from) => {
      onEvent(event, from);
      this.#checkAnswers();
    };
    const session = new Session({
      id: randomUUID(),
      view,
      line,
      clock,
      maxFrameBytes,
      state,
      mayRotate,
      answer,
      onEvent: told,
      clean,
    });
    this.#sessions.set(socket, session);
    const cancel = clock.after(helloWithinMs, () => {
      if (!session.isLive) session.refuse('hello_timeout', `no hello within ${helloWithinMs} ms`, false);
    });
    socket.once('close', cancel);
  }

  /** A program that asks and never reads would hold ever more of our memory; it is cut off instead. */
  #write(socket: Socket, frame: string | Buffer): void {
    if (socket.writableLength > 2 * this.#parts.maxFrameBytes) socket.destroy();
    else this.#ipc.server.write(socket, frame);
  }

  #hangUp(socket: Socket): void {
    socket.end();
    const cancel = this.#parts.clock.after(farewellMs, () => socket.destroy());
    socket.once('close', cancel);
  }

  #disconnected(socket: Socket): void {
    this.#sessions.get(socket)?.closed();
    this.#sessions.delete(socket);
    this.#checkAnswers();
  }

  #checkAnswers(): void {
    for (const check of this.#answerWaits) check();
  }

  #received(type: keyof ToDaemon, data: unknown, socket: Socket): void {
    const session = this.#sessions.get(socket);
    if (!session) return;
    try {
      const problem = this.#parts.checkFrame(type, data);
      if (problem === undefined) session.receive(type, data as ToDaemon[keyof ToDaemon]);
      else session.refuse('bad_frame', problem, true);
    } catch (error) {
      // A bug of ours must cost one session, not the daemon.
      this.#parts.log('error', 'session_failed', `a handler of ${type} failed: ${(error as Error).message}`, {
        view: this.#parts.view.name,
      });
      socket.destroy();
    }
  }

  #beat(): void {
    this.#stopBeat = this.#parts.clock.after(heartbeatMs, () => {
      const ping = Buffer.from(encodeFrame('ping', { revision: this.#parts.view.snapshot?.revision ?? 0 }));
      for (const session of this.#sessions.values()) session.beat(ping);
      this.#beat();
    });
  }

  #emptied(withinMs: number): Promise<void> {
    if (this.#sessions.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#parts.clock.after(withinMs, resolve);
      this.#ipc.server.on('socket.disconnected', () => {
        if (this.#sessions.size > 0) return;
        cancel();
        resolve();
      });
    });
  }
}
