import type { JsonValue } from '../../schemas/json.ts';
import { delimiter, encodeFrame, type ToClient } from '../../schemas/wire.ts';

/** What a session needs of its socket. */
export interface Line {
  /** `onTaken` is called when the program has taken it, or the kernel for the program. */
  write(frame: string | Buffer, onTaken?: () => void): void;
  /** Bytes that were taken, and bytes that are not. */
  progress(): { readonly taken: number; readonly owed: number };
  /** Sends what is written and closes. */
  end(): void;
  destroy(): void;
}

/** An answer that many programs get: its bytes are kept once, whoever has not taken them. */
export class SharedAnswer {
  readonly bytes: Buffer;

  constructor(value: JsonValue) {
    this.bytes = Buffer.from(JSON.stringify(value));
  }
}

/** Answers that a program may leave before it is read no further. */
const maxBytes = 64 * 1024;
const maxFrames = 64;

/**
 * What goes out to one program. Settings are one slot's affair and shared by all who get them; answers are counted until
 * they are taken; of heartbeats and states only one waits at a time, the newest.
 */
export class Outbox {
  readonly #line: Line;
  readonly #onCaughtUp: () => void;
  #bytes = 0;
  #frames = 0;
  #shared = 0;
  #isClosed = false;
  /** By type: what is to follow the one that is not taken, if anything. */
  readonly #single = new Map<keyof ToClient, string | undefined>();

  /** `onCaughtUp`: {@link isBehind} has ended. */
  constructor(line: Line, onCaughtUp: () => void) {
    this.#line = line;
    this.#onCaughtUp = onCaughtUp;
  }

  /** Nothing goes out any more. */
  close(): void {
    this.#isClosed = true;
  }

  /** The program leaves more than its one snapshot and a few answers. */
  get isBehind(): boolean {
    return this.#bytes > maxBytes || this.#frames > maxFrames || this.#shared > 1;
  }

  send<Type extends keyof ToClient>(type: Type, data: ToClient[Type]): void {
    this.#write(encodeFrame(type, data));
  }

  /** The newest is all that matters: while one is not taken, no more than one follows it. */
  sendNewest<Type extends keyof ToClient>(type: Type, data: ToClient[Type]): void {
    const frame = encodeFrame(type, data);
    if (this.#single.has(type)) this.#single.set(type, frame);
    else this.#writeSingle(type, frame);
  }

  /** Answers a heartbeat; one that is not taken yet answers this one, too. */
  sendPong(revision: number): void {
    if (!this.#single.has('pong')) this.#writeSingle('pong', encodeFrame('pong', { revision }));
  }

  /** Bytes that are kept once for all programs, such as settings. */
  sendShared(bytes: Buffer): void {
    if (this.#isClosed) return;
    this.#shared++;
    this.#line.write(bytes, () => this.#settle(() => this.#shared--));
  }

  respond(id: string, { bytes }: SharedAnswer): void {
    this.#write(`{"type":"response","data":{"id":${JSON.stringify(id)},"ok":true,"result":`);
    this.sendShared(bytes);
    this.#write(`}}${delimiter}`);
  }

  #write(frame: string): void {
    if (this.#isClosed) return;
    this.#bytes += frame.length;
    this.#frames++;
    this.#line.write(frame, () =>
      this.#settle(() => {
        this.#bytes -= frame.length;
        this.#frames--;
      }),
    );
  }

  #writeSingle(type: keyof ToClient, frame: string): void {
    if (this.#isClosed) return;
    this.#single.set(type, undefined);
    this.#line.write(frame, () => {
      const next = this.#single.get(type);
      this.#single.delete(type);
      if (next !== undefined) this.#writeSingle(type, next);
    });
  }

  #settle(change: () => void): void {
    const wasBehind = this.isBehind;
    change();
    if (wasBehind && !this.isBehind) this.#onCaughtUp();
  }
}
