import { delimiter } from '../../schemas/wire.ts';
import type { Clock } from '../ops/clock.ts';
import type { Allowance } from './allowance.ts';

export interface IntakeParts {
  readonly allowance: Allowance;
  readonly clock: Clock;
  readonly socket: { pause(): unknown; resume(): unknown };
  /** Takes a frame, or a piece of one. */
  readonly deliver: (piece: string) => void;
  /** The program does not take the answers that it gets. */
  readonly isBehind: () => boolean;
  /** Its hello is accepted. */
  readonly isLive: () => boolean;
  /** No more is read until the program may go on. */
  readonly onPause: () => void;
  /** It has sent more than is kept, and is not read any more. */
  readonly onTooMuch: (message: string) => void;
}

/** Longest frame before the hello is accepted, in characters. */
const maxHello = 4_096;
const charsPerFrame = 1_024;
const tooMuch = 'the programs of this user have too many frames unread or unfinished';
/** What a piece costs that ends no frame. */
const pieceCost = 0.1;

/**
 * Reads a connection frame by frame, as its allowance lets it, and stops while the program does not take its answers. What
 * is not read stays with the kernel, which holds up the sender and nobody else. Has no timer but while it has stopped.
 */
export class Intake {
  readonly #parts: IntakeParts;
  /** What has come in and is not delivered. */
  #rest = '';
  /** Characters of the frame that was delivered in part. */
  #unfinished = 0;
  #isPaused = false;
  #isReading = false;
  #isClosed = false;
  /** What it sent last was asked for. */
  #isFree = false;
  #cancelWait = () => {};

  constructor(parts: IntakeParts) {
    this.#parts = parts;
    // One that comes too often is not read at once.
    this.#mayGoOn();
  }

  /** It has sent too much, and is not read any more. */
  get hasStopped(): boolean {
    return this.#isClosed;
  }

  push(piece: string): void {
    this.#rest = this.#rest === '' ? piece : this.#rest + piece;
    this.#read();
  }

  /** The program has taken answers. */
  wake(): void {
    if (this.#isPaused) this.#read();
  }

  close(): void {
    this.#isClosed = true;
    this.#rest = '';
    this.#cancelWait();
    this.#parts.allowance.end();
  }

  #read(): void {
    if (this.#isReading || this.#isClosed) return;
    this.#isReading = true;
    const text = this.#rest;
    let at = 0;
    let mayGoOn = !this.#isPaused || this.#mayGoOn();
    while (mayGoOn && at < text.length && !this.#isClosed) {
      at = this.#next(text, at);
      mayGoOn = this.#mayGoOn();
    }
    this.#rest = at < text.length && !this.#isClosed ? flat(text, at) : '';
    this.#isReading = false;
    if (this.#isClosed) return;
    if (!this.#parts.allowance.keep(this.#rest.length + this.#unfinished)) this.#stop(tooMuch);
    else if (mayGoOn) this.#resume();
  }

  /** Delivers up to the end of the next frame, and returns where that is. */
  #next(text: string, at: number): number {
    const end = text.indexOf(delimiter, at) + 1;
    const isWhole = end > 0;
    const piece = isWhole && end === text.length && at === 0 ? text : isWhole ? text.slice(at, end) : flat(text, at);
    const { allowance, deliver, isLive } = this.#parts;
    const cost = (isWhole ? 1 : pieceCost) + piece.length / charsPerFrame;
    this.#isFree = isWhole && this.#unfinished === 0 && allowance.isExpected(cost);
    if (!this.#isFree) allowance.spend(cost);
    const length = this.#unfinished + piece.length;
    this.#unfinished = isWhole ? 0 : length;
    if (length > maxHello && !isLive()) this.#stop(`a hello is at most ${maxHello} bytes`);
    else if (!isWhole && !allowance.keep(length)) this.#stop(tooMuch);
    else deliver(piece);
    return at + piece.length;
  }

  /** For good: who is cut off at once comes back at once. */
  #stop(message: string): void {
    this.#isClosed = true;
    this.#rest = '';
    this.#unfinished = 0;
    this.#cancelWait();
    this.#parts.allowance.keep(0);
    this.#parts.socket.pause();
    this.#parts.onTooMuch(message);
  }

  #mayGoOn(): boolean {
    const { isBehind, allowance } = this.#parts;
    // It is woken when the answers are taken.
    const behind = isBehind();
    const waitMs = behind || this.#isFree ? 0 : allowance.frameWaitMs;
    if (behind || waitMs > 0) this.#pause(waitMs);
    return !behind && waitMs === 0;
  }

  #pause(waitMs: number): void {
    const { socket, clock, onPause } = this.#parts;
    this.#cancelWait();
    this.#isFree = false;
    if (waitMs > 0) this.#cancelWait = clock.after(waitMs, () => this.#read());
    if (this.#isPaused) return;
    this.#isPaused = true;
    socket.pause();
    onPause();
  }

  #resume(): void {
    if (!this.#isPaused) return;
    this.#cancelWait();
    this.#isPaused = false;
    this.#parts.socket.resume();
  }
}

/** The end of a text, without the whole of it being kept alive. */
function flat(text: string, at: number): string {
  return at === 0 ? text : Buffer.from(text.slice(at)).toString();
}
