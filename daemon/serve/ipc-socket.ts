import type { Socket } from 'node:net';
import { IPCModule } from 'node-ipc';
import { maxInboundFrame, type ToDaemon, toDaemonEvents } from '../../schemas/wire.ts';
import { SocketFile, type SocketRights } from '../ops/socket-file.ts';
import { FrameParser } from './frame-parser.ts';

export interface IpcSocketParts {
  readonly path: string;
  readonly rights: SocketRights;
  readonly onConnect: (socket: Socket) => void;
  readonly onDisconnect: (socket: Socket) => void;
  readonly onFrame: (type: keyof ToDaemon, data: unknown, socket: Socket) => void;
  /** Bytes that are no frame; their socket is closed. */
  readonly onBadFrame: (message: string, socket: Socket) => void;
}

/** What an unfinished frame may take. */
const messageTimeoutMs = 10_000;

/** A Unix socket that speaks frames. The only home of node-ipc, whose events, errors and sockets end here. */
export class IpcSocket {
  readonly file: SocketFile;
  readonly #parts: IpcSocketParts;
  readonly #ipc = new IPCModule();
  /** Whose bytes are read now. */
  #reading: Socket | undefined;

  constructor(parts: IpcSocketParts) {
    this.#parts = parts;
    this.file = new SocketFile(parts.path, parts.rights, (temporary) => this.#bind(temporary));
    const { config } = this.#ipc;
    // Who is let in is not node-ipc's to say, and the session's one slot bounds what is pending; node-ipc's own bounds
    // would drop connections without a word.
    Object.assign(config, { silent: true, unlink: false, maxConnections: Number.MAX_SAFE_INTEGER });
    Object.assign(config, {
      maxMessageSize: maxInboundFrame,
      maxPendingBytes: Number.POSITIVE_INFINITY,
      messageTimeout: messageTimeoutMs,
    });
    config.parser = new FrameParser(config, ({ message }) => parts.onBadFrame(message, this.#reading!));
  }

  /** Resolves when programs can connect. */
  start(): Promise<void> {
    return this.file.publish();
  }

  /** Puts `push` before what reads a new connection, and returns that. */
  intercept(socket: Socket, push: (piece: string) => void): (piece: string) => void {
    const [receive] = socket.listeners('data') as ((piece: string) => void)[];
    socket.removeListener('data', receive!);
    socket.on('data', push as (piece: unknown) => void);
    return (piece) => {
      this.#reading = socket;
      receive!.call(socket, piece);
    };
  }

  /** A frame that we do not go on reading is not late. */
  stopWaiting(socket: Socket): void {
    this.#ipc.server.clearMessageTimer(socket);
  }

  /** Nobody can connect any more; who is connected stays. */
  close(): void {
    this.file[Symbol.dispose]();
    this.#ipc.server?.server?.close();
  }

  /** Cuts off everybody. */
  stop(): void {
    this.#ipc.server?.stop();
  }

  #bind(temporary: string) {
    const bound = this.#ipc.server?.server;
    // Published again: who is connected by the lost socket stays connected.
    if (bound) return bound.close().listen(temporary);
    this.#ipc.serve(temporary, () => {});
    const { server } = this.#ipc;
    const { onConnect, onDisconnect, onFrame } = this.#parts;
    server.on('connect', onConnect);
    server.on('socket.disconnected', (socket: Socket) => onDisconnect(socket));
    // A socket's failure ends in its 'close', and the parser has told what it refused.
    server.on('error', () => {});
    for (const type of toDaemonEvents) server.on(type, (data: unknown, socket: Socket) => onFrame(type, data, socket));
    server.start();
    return server.server;
  }
}
