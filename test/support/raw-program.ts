import { connect as connectSocket, type Socket } from 'node:net';
import { decodeFrame, encodeFrame, FrameSplitter } from '../../schemas/wire.ts';
import { until } from './until.ts';

/** A program that speaks frames by hand. */
export class RawProgram {
  readonly frames: { type: string; data: Record<string, unknown> }[] = [];
  readonly socket: Socket;
  isClosed = false;

  constructor(path: string) {
    this.socket = connectSocket(path).setEncoding('utf8');
    const splitter = new FrameSplitter(32 * 1024 * 1024);
    this.socket.on('data', (piece: unknown) => {
      for (const text of splitter.push(piece as string)) this.frames.push(decodeFrame(text) as never);
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.isClosed = true;
    });
  }

  send(type: string, data: unknown): this {
    this.socket.write(encodeFrame(type, data));
    return this;
  }

  hello(more: object = {}): this {
    return this.send('hello', { protocol: 1, name: 'raw', pid: 1, library: 'raw', capabilities: [], ...more });
  }

  async next<T>(type: string, nth = 1): Promise<T> {
    await until(`frame ${nth} of ${type} comes`, () => this.of(type).length >= nth);
    return this.of(type)[nth - 1]!.data as T;
  }

  of(type: string) {
    return this.frames.filter((frame) => frame.type === type);
  }
}
