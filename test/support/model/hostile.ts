import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeFrame, encodeFrame, FrameSplitter } from '../../../schemas/wire.ts';
import type { Random } from './choices.ts';

/** Real milliseconds between two acts, at most. */
const restMs = 40;
const kinds = ['reload', 'validate', 'summary', 'config', 'rotate'] as const;

/**
 * A program that means harm: it says whatever the wire allows and more, in floods, under names of others, answers what it
 * likes, and stops reading. What it does follows from its random numbers.
 */
export class HostileProgram {
  readonly #path: string;
  readonly #random: Random;
  #socket: Socket | undefined;
  #isOver = false;
  #running: Promise<void> = Promise.resolve();
  /** Nonces of what it was sent last. */
  #nonces: string[] = [];
  /** Frames that were sent. */
  sent = 0;

  /** `path`: the socket of its view. */
  constructor(path: string, random: Random) {
    this.#path = path;
    this.#random = random;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
    this.#socket?.destroy();
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      if (!this.#socket || this.#socket.destroyed) this.#connect();
      this.#pick(this.#harms)();
      await sleep(this.#random() * restMs);
    }
  }

  readonly #harms: readonly (() => void)[] = [
    () => this.#flood('ping', () => ({ revision: 0 })),
    () => this.#flood('pong', () => ({ revision: 9_007_199_254_740_991 })),
    () => this.#flood('resync', () => ({ reason: 'r'.repeat(200) })),
    () => this.#flood('report', () => ({ code: 'harm', message: 'h'.repeat(2_000), recovered: this.#random() < 0.3 })),
    () => this.#flood('nack', () => this.#nack(), 30),
    () => this.#flood('ack', () => ({ nonce: this.#nonce, revision: 1e9, applyMs: 0 }), 30),
    () => this.#flood('request', () => this.#request(), 30),
    () => this.#flood('request', () => this.#request(), 30),
    () => this.#hello(),
    () => this.#write('{"type":"report","data":{"code":"'.padEnd(60_000, 'x')),
    () => this.#write(`${'['.repeat(30_000)}\f`),
    () => this.#socket?.pause(),
    () => this.#socket?.resume(),
    () => this.#socket?.destroy(),
    () => {},
  ];

  #connect(): void {
    this.#nonces = [];
    const socket = connect(this.#path).setEncoding('utf8');
    const splitter = new FrameSplitter(32 * 1024 * 1024);
    socket.on('data', (piece: unknown) => {
      for (const text of splitter.push(piece as string)) this.#received(decodeFrame(text) as never);
    });
    socket.on('error', () => {});
    this.#socket = socket;
    if (this.#random() < 0.9) this.#hello();
  }

  #hello(): void {
    const capabilities = ['patch', 'verify', 'observe'].filter(() => this.#random() < 0.6);
    const name = this.#pick(['hostile', 'plain', 'third', 'canary-1', 'x'.repeat(200), '\u001b[2J', '../..']);
    this.#send('hello', { protocol: 1, name, pid: 1, library: 'harm', capabilities, more: 'y'.repeat(2_000) });
  }

  #received({ type, data }: { readonly type: string; readonly data: { readonly nonce?: string } }): void {
    if (!/^(snapshot|patch|verify)$/.test(type) || !data.nonce) return;
    this.#nonces = [...this.#nonces.slice(-3), data.nonce];
    const choice = this.#random();
    if (choice < 0.3) this.#send('ack', { nonce: data.nonce, revision: 1, applyMs: 1 });
    else if (choice < 0.6) this.#send('nack', this.#nack());
  }

  get #nonce(): string {
    return this.#nonces.length > 0 && this.#random() < 0.7 ? this.#pick(this.#nonces) : 'nonsense';
  }

  #nack(): object {
    const paths = Array.from({ length: 30 }, () => 'p'.repeat(900));
    return { nonce: this.#nonce, revision: 1, code: 'harm', paths, message: 'no '.repeat(600) };
  }

  #request(): object {
    const kind = this.#pick(kinds);
    const more = kind === 'rotate' ? { secret: 'secret', value: 'AAAA' } : { reason: 'because' };
    return { id: String(this.sent), kind, ...(kind === 'reload' || kind === 'rotate' ? more : {}) };
  }

  #flood(type: string, data: () => object, most = 200): void {
    for (let i = Math.floor(this.#random() * most); i > 0; i--) this.#send(type, data());
  }

  #send(type: string, data: object): void {
    this.#write(encodeFrame(type, data));
  }

  #write(text: string): void {
    // What the daemon does not take is no harm but to this process.
    if (!this.#socket || this.#socket.destroyed || this.#socket.writableLength > 1024 * 1024) return;
    this.sent++;
    this.#socket.write(text);
  }

  #pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)]!;
  }
}
