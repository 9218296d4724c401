import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { Digester } from '../../schemas/digest.ts';
import type { JsonObject } from '../../schemas/json.ts';
import { compare } from '../../schemas/patch.ts';
import { decodeFrame, encodeFrame, FrameSplitter, maxInboundFrame } from '../../schemas/wire.ts';
import { until } from './until.ts';

export interface Frame {
  readonly type: string;
  readonly data: Record<string, unknown>;
}

const state = { kind: 'ready', since: '2026-01-01T00:00:00.000Z', sources: [] };
const limits = { inboundFrame: maxInboundFrame, outboundFrame: 1024 * 1024, heartbeatMs: 15_000, verifyMs: 10_000 };
export const welcome = {
  protocol: 1,
  session: 's',
  epoch: 'e',
  revision: 1,
  resume: 'full',
  limits,
  view: 'default',
  state,
  rotation: true,
};

/** A snapshot frame's data, as a daemon sends it. */
export function snapshotOf(settings: JsonObject, revision: number, epoch = 'e') {
  return {
    nonce: `n${revision}`,
    epoch,
    revision,
    digest: new Digester().digest(settings),
    committedAt: '2026-01-01T00:00:00.000Z',
    cause: 'file',
    changed: [],
    removed: [],
    settings,
  };
}

/** A patch frame's data from one settings to the next. */
export function patchOf(before: JsonObject, after: JsonObject, base: number, revision: number) {
  const { settings: _, ...delivery } = snapshotOf(after, revision);
  return { ...delivery, base, operations: compare(before, after).operations };
}

/** The daemon's end of a socket, played by hand: it records what programs send and sends what a test tells it. */
export class FakeDaemon {
  readonly frames: Frame[] = [];
  /** Connections so far. */
  connections = 0;
  /** What every `hello` is answered by, in order. */
  greeting: readonly Frame[] = [{ type: 'welcome', data: welcome }];
  endAfterGreeting = false;
  #socket: Socket | undefined;
  readonly #sockets = new Set<Socket>();
  #isFrozen = false;
  /** The program has closed its side for good. */
  isEnded = false;
  readonly #server: Server = createServer({ allowHalfOpen: true }, (socket) => this.#connected(socket));

  async start(path: string): Promise<this> {
    this.#server.listen(path);
    await once(this.#server, 'listening');
    return this;
  }

  send(type: string, data: unknown): this {
    return this.sendText(encodeFrame(type, data));
  }

  sendText(text: string): this {
    this.#socket!.write(text);
    return this;
  }

  /** Takes no notice of the program any more, as a stopped process does: it reads nothing and ends nothing. */
  freeze(): void {
    this.#isFrozen = true;
    this.#socket?.pause();
  }

  /** Cuts the connection. */
  cut(): void {
    this.#socket?.destroy();
  }

  of(type: string): readonly Frame[] {
    return this.frames.filter((frame) => frame.type === type);
  }

  async next<T = Record<string, unknown>>(type: string, nth = 1): Promise<T> {
    await until(`frame ${nth} of ${type} comes`, () => this.of(type).length >= nth, 3_000);
    return this.of(type)[nth - 1]!.data as T;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }

  #connected(socket: Socket): void {
    this.connections++;
    this.#socket = socket;
    this.#sockets.add(socket);
    this.#isFrozen = false;
    const splitter = new FrameSplitter(32 * 1024 * 1024);
    socket.setEncoding('utf8');
    this.isEnded = false;
    socket.on('error', () => {});
    socket.on('end', () => !this.#isFrozen && socket.end());
    socket.on('close', () => {
      this.isEnded = true;
    });
    socket.on('data', (piece: unknown) => {
      for (const text of splitter.push(piece as string)) this.#received(decodeFrame(text) as Frame);
    });
  }

  #received(frame: Frame): void {
    this.frames.push(frame);
    if (frame.type !== 'hello') return;
    for (const { type, data } of this.greeting) this.send(type, data);
    if (this.endAfterGreeting) this.#socket!.end();
  }
}
