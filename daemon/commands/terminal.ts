import { closeSync, constants, openSync } from 'node:fs';
import { isatty } from 'node:tty';
import { systemCode } from '../model/errors.ts';
import type { Clock } from '../ops/clock.ts';

/** Standard input, output and error. */
const streams = [0, 1, 2];
const checkMs = 1_000;
/** A shell that hangs up passes SIGHUP on to its jobs and ends soon after. */
const hangUpMs = 10_000;

/**
 * Calls `onHangUp` once the terminal that the process was started on has hung up: when it is lost within ten seconds of a
 * SIGHUP, before or after it. The sender of a signal is unknown and the order of the two differs from terminal to terminal.
 * A process without a terminal, as under systemd, nohup or setsid, and a terminal lost without SIGHUP, as after `disown`,
 * never hang up.
 */
export class TerminalMonitor {
  readonly #clock: Clock;
  readonly #isUsable: () => boolean;
  readonly #onHangUp: () => void;
  #signalledAt = Number.NEGATIVE_INFINITY;
  #lostAt: number | undefined;
  #isOn: boolean;

  constructor(clock: Clock, onHangUp: () => void, isUsable: () => boolean = isTerminalUsable) {
    this.#clock = clock;
    this.#isUsable = isUsable;
    this.#onHangUp = onHangUp;
    this.#isOn = isUsable();
    this.#checkLater();
  }

  /** A SIGHUP has arrived. Returns whether it is part of a hang-up; otherwise, it asks for a reload. */
  signalled(): boolean {
    this.#signalledAt = this.#clock.monotonic();
    this.#check();
    return this.#isHangUp;
  }

  get #isHangUp(): boolean {
    return this.#lostAt !== undefined && Math.abs(this.#lostAt - this.#signalledAt) <= hangUpMs;
  }

  #check(): void {
    if (this.#isOn && !this.#isUsable()) {
      this.#isOn = false;
      this.#lostAt = this.#clock.monotonic();
    }
    if (this.#isHangUp) this.#onHangUp();
  }

  #checkLater(): void {
    if (!this.#isOn) return;
    this.#clock.after(checkMs, () => {
      this.#check();
      this.#checkLater();
    });
  }
}

/** Whether a standard stream is a terminal, and the session still has its controlling terminal. */
function isTerminalUsable(): boolean {
  return streams.some((stream) => isatty(stream)) && isControlled();
}

/** The streams of a terminal stay valid after its session leader has ended; `/dev/tty` does not. */
function isControlled(): boolean {
  try {
    closeSync(openSync('/dev/tty', constants.O_RDONLY | constants.O_NOCTTY | constants.O_NONBLOCK));
    return true;
  } catch (error) {
    // Anything else, such as Node's permission model, says nothing about the terminal.
    return systemCode(error) !== 'ENXIO' && systemCode(error) !== 'EIO';
  }
}
