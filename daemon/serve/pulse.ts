import { heartbeatMs } from '../../schemas/wire.ts';
import type { Clock } from '../ops/clock.ts';

const missesThatEnd = 2;
/** A program that answers heartbeats is heard at least this often. */
const heardWithinMs = heartbeatMs + 5_000;

/** Whether the other end of a connection still lives: it has to answer heartbeats. */
export class Pulse {
  readonly #clock: Clock;
  #heardAt: number;
  #unanswered = 0;

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

  /** Counts a heartbeat that is sent now. False when enough of them stayed unanswered. */
  beat(): boolean {
    return this.#unanswered++ < missesThatEnd;
  }
}
