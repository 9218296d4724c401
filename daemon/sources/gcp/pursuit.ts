import { DaemonError } from '../../model/errors.ts';
import { type Clock, sleep } from '../../ops/clock.ts';
import { unreachable } from './google-errors.ts';

/** How closely to look, the closest last: at the version that was announced, at which one is to be served, at everything. */
export const looks = ['announced', 'chosen', 'fresh'] as const;
export type Look = (typeof looks)[number];

export interface PursuitParts {
  /** One attempt. Returns how to look again at once, if need be. Fails with `DaemonError`. */
  readonly attempt: (look: Look, signal: AbortSignal) => Promise<Look | undefined>;
  readonly clock: Clock;
  /** From 0 to 1. */
  readonly random: () => number;
}

const firstWaitMs = 200;
const longestWaitMs = 30_000;
/** Attempts at a payload whose checksum is wrong. */
const corruptAttempts = 4;

/**
 * One thing that Google is to be asked for, kept at until it is there or has failed for good. What may pass is tried
 * again with exponential backoff and full jitter (the formula of "Exponential Backoff And Jitter", AWS Architecture
 * Blog, 2015): a wait is anywhere from 0 to a bound that doubles from 200 ms to 30 s.
 */
export class Pursuit {
  readonly #parts: PursuitParts;
  #look: Look | undefined;
  #running: Promise<void> | undefined;
  #trouble: DaemonError | undefined;
  #problem: DaemonError | undefined;
  #told: DaemonError | undefined;
  #excused: DaemonError['code'] | undefined;

  constructor(parts: PursuitParts) {
    this.#parts = parts;
  }

  /** What is wrong: the attempt failed for good, or did not succeed for too long. */
  get problem(): DaemonError | undefined {
    return this.#problem;
  }

  /** What is wrong, or that nothing is any more, has not been told yet. */
  get isNews(): boolean {
    return this.#told?.message !== this.#problem?.message;
  }

  /** There is something to be got that no attempt has been made at, or that is to be tried again. */
  get isDue(): boolean {
    return this.#look !== undefined;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  tell(): void {
    this.#told = this.#problem;
  }

  /** Asks for a look; a closer one that is asked for already stays. */
  ask(look: Look): void {
    if (!this.#look || looks.indexOf(look) > looks.indexOf(this.#look)) this.#look = look;
  }

  /**
   * Works on what has been asked so far until it is there, has failed for good, or the signal aborts. What is asked
   * meanwhile stays due. Never rejects.
   */
  run(signal: AbortSignal): Promise<void> {
    this.#running ??= this.#work(signal).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** It has been waited for long enough: that it is not there yet is a problem now. */
  overdue(subject: string): void {
    const silent = () =>
      new DaemonError('secret_unavailable', 'Google does not answer', {
        subject,
        mend: unreachable,
      });
    this.fail(this.#trouble ?? silent());
  }

  fail(error: DaemonError): void {
    this.#trouble = undefined;
    this.#problem = error.code === this.#excused ? undefined : error;
  }

  /** That it fails in this way is as it should be, until it succeeds. */
  excuse(): void {
    this.#excused = this.#problem?.code;
    this.#problem = undefined;
  }

  async #work(signal: AbortSignal): Promise<void> {
    let next = this.#take();
    for (let failures = 0; next && !signal.aborted; ) {
      const look: Look = next;
      try {
        next = await this.#parts.attempt(look, signal);
        this.#problem = this.#trouble = this.#excused = undefined;
      } catch (thrown) {
        const error = asDaemonError(thrown);
        if (!mayPass(error, failures)) return this.fail(error);
        this.#trouble = error;
        this.ask(look);
        await sleep(this.#parts.clock, this.#waitMs(failures++), signal);
        if (!signal.aborted) next = this.#take();
      }
    }
  }

  #take(): Look | undefined {
    const look = this.#look;
    this.#look = undefined;
    return look;
  }

  #waitMs(failures: number): number {
    return this.#parts.random() * Math.min(firstWaitMs * 2 ** failures, longestWaitMs);
  }
}

function mayPass({ code }: DaemonError, failures: number): boolean {
  return code === 'secret_unavailable' || (code === 'secret_corrupt' && failures + 1 < corruptAttempts);
}

function asDaemonError(thrown: unknown): DaemonError {
  if (thrown instanceof DaemonError) return thrown;
  const kind = thrown instanceof Error ? thrown.name : typeof thrown;
  return new DaemonError('internal', `could not be read: ${kind}`, { cause: thrown, mend: 'please report this' });
}
