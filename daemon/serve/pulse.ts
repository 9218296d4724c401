import { heartbeatMs } from '../../schemas/wire.ts';
import type { Clock } from '../ops/clock.ts';

const missesThatEnd = 2;
/** Who takes so much of what it owes between two heartbeats, and no less than the second, is slow and not dead. */
const takenShare = 1 / 64;
const takenBytes = 1_024;
/** A program that answers heartbeats is heard at least this often. */
const heardWithinMs = heartbeatMs + 5_000;

/** Whether the other end of a connection still lives: it has to answer heartbeats. */
export class Pulse {
  readonly #clock: Clock;
  #heardAt: number;
  #unanswered = 0;
  #taken = 0;
  #owed = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#heardAt = clock.monotonic();
  }

  /** It was not heard in time. */
  get isWeak(): boolean {
    return this.#clock.monotonic() - this.#heardAt > heardWithinMs;
  }

  heard(): void {
    this.#heardAt = this.#clock.monotonic();
    this.#unanswered = 0;
  }

  /**
   * Counts a heartbeat that is sent now. False when enough of them stayed unanswered. A program that still takes what it
   * was sent before cannot have seen them: `taken` and `owed` are bytes.
   */
  beat({ taken, owed }: { readonly taken: number; readonly owed: number }): boolean {
    const least = Math.max(takenBytes, this.#owed * takenShare);
    if (this.#owed > 0 && taken - this.#taken >= least) this.#unanswered = 0;
    this.#taken = taken;
    this.#owed = owed;
    return this.#unanswered++ < missesThatEnd;
  }
}
