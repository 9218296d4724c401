import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { decodeFrame, delimiter, FrameSplitter } from '../../schemas/wire.ts';

/** A proxy between a program and its daemon that loses the first frame of a type. */
export class FrameDropper {
  dropped = 0;
  readonly #server: Server;
  readonly #sockets: Socket[] = [];

  private constructor(to: string, type: string) {
    this.#server = createServer((program) => {
      const daemon = connect(to);
      this.#sockets.push(program, daemon);
      program.pipe(daemon);
      const splitter = new FrameSplitter(32 * 1024 * 1024);
      daemon.setEncoding('utf8').on('data', (piece: unknown) => {
        for (const text of splitter.push(piece as string)) {
          if (this.dropped === 0 && decodeFrame(text).type === type) this.dropped++;
          else program.write(text + delimiter);
        }
      });
      for (const socket of [program, daemon]) {
        socket.on('error', () => {});
        socket.on('close', () => [program, daemon].map((end) => end.destroy()));
      }
    });
  }

  static async start(to: string, at: string, type: string): Promise<FrameDropper> {
    const dropper = new FrameDropper(to, type);
    dropper.#server.listen(at);
    await once(dropper.#server, 'listening');
    return dropper;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
