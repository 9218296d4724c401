import { maxDurationMs } from '../schemas/wire-limits.ts';
import { Backoff } from './backoff.ts';

export interface ReconnectParts {
  readonly open: () => void;
  /** Names what is at the daemon's place now, such as its socket's inode; empty when nothing is. */
  readonly landmark: () => string;
}

const stableAfterMs = 30_000;
const lookEveryMs = 250;
/** Over so long the programs of a host spread when they see that a daemon is back. */
const spreadMs = 500;

/**
 * Says when to try again: after a backoff with full jitter, which a connection that held for 30 s resets; or soon when
 * another daemon has taken its place, however long the old one was away.
 */
export class Reconnect {
  readonly #parts: ReconnectParts;
  readonly #backoff = new Backoff();
  #timer: NodeJS.Timeout | undefined;
  #look: NodeJS.Timeout | undefined;
  #stable: NodeJS.Timeout | undefined;
  /** Waiting for the daemon keeps the process alive. */
  isHeld = true;

  constructor(parts: ReconnectParts) {
    this.#parts = parts;
  }

  /** The connection works. */
  live(): void {
    this.#stable ??= setTimeout(() => this.#backoff.reset(), stableAfterMs).unref();
  }

  /** The connection is lost; the next attempt comes no sooner than this. */
  lost(atLeastMs: number): void {
    this.stop();
    this.#wait(Math.min(atLeastMs + this.#backoff.next(), maxDurationMs));
    const was = this.#parts.landmark();
    this.#look = setInterval(() => {
      const is = this.#parts.landmark();
      if (is === '' || is === was) return;
      this.stop();
      this.#wait(Math.random() * spreadMs);
    }, lookEveryMs);
    // The timer alone is what a program waits for.
    this.#look.unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#stable);
    clearInterval(this.#look);
    this.#stable = undefined;
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => this.#open(), ms);
    if (!this.isHeld) this.#timer.unref();
  }

  #open(): void {
    clearInterval(this.#look);
    this.#parts.open();
  }
}
