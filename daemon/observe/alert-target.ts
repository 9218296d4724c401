import pRetry, { AbortError } from 'p-retry';
import { type Clock, sleep } from '../ops/clock.ts';
import type { Log } from '../ops/log.ts';
import type { Alert } from './alert-book.ts';

/** Brings one alert to somebody. Throws why it could not be; {@link AbortError} where trying again is of no use. */
export type SendAlert = (alert: Alert, signal: AbortSignal) => Promise<void>;

export interface AlertTargetParts {
  /** For the log; no secret. */
  readonly name: string;
  readonly send: SendAlert;
  readonly clock: Clock;
  readonly log: Log;
  /** The least time between two alerts about the same thing. */
  readonly restMs?: number;
  readonly firstWaitMs?: number;
}

const longestWaitMs = 5 * 60_000;
/** Things to tell of that wait; the oldest is given up for a newer one. */
const maxWaiting = 100;

/**
 * One place where alerts go, at its own pace: nothing waits for it. What it could not be told is tried again with
 * growing, jittered waits; of several states of one thing only the newest is told, and one that it was told already
 * is not.
 */
export class AlertTarget {
  readonly #parts: AlertTargetParts;
  readonly #waiting = new Map<string, Alert>();
  readonly #told = new Map<string, { readonly alert: Alert; readonly at: number }>();
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(parts: AlertTargetParts) {
    this.#parts = parts;
  }

  tell(alert: Alert): void {
    // Each event is news of its own.
    const key = alert.state === 'event' ? `${alert.key} ${alert.since}` : alert.key;
    this.#waiting.set(key, alert);
    for (const oldest of this.#waiting.keys()) if (this.#waiting.size > maxWaiting) this.#waiting.delete(oldest);
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** What has not been told by then is not told. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (this.#waiting.size > 0 && !signal.aborted) {
      const due = [...this.#waiting.keys()].sort((a, b) => this.#dueAt(a) - this.#dueAt(b))[0]!;
      const wait = this.#dueAt(due) - this.#parts.clock.monotonic();
      if (wait > 0) await sleep(this.#parts.clock, Math.min(wait, 1_000), signal);
      else await this.#deliver(due);
    }
  }

  #dueAt(key: string): number {
    const told = this.#told.get(key);
    return told ? told.at + (this.#parts.restMs ?? 10_000) : 0;
  }

  async #deliver(key: string): Promise<void> {
    const { clock, log, name, firstWaitMs = 1_000 } = this.#parts;
    const alert = this.#waiting.get(key)!;
    const before = this.#told.get(key)?.alert;
    const isKnown = isTold(before, alert);
    const isOvertaken = () => this.#waiting.get(key) !== alert;
    try {
      if (!isKnown) await this.#send(alert, isOvertaken, firstWaitMs);
    } catch (error) {
      if (this.#stop.signal.aborted || isOvertaken()) return;
      log('error', 'alert_lost', `${name} does not take an alert about ${alert.key}: ${(error as Error).message}`, {
        key,
      });
    }
    if (!isOvertaken()) this.#waiting.delete(key);
    if (!isKnown && alert.state !== 'event') this.#told.set(key, { alert, at: clock.monotonic() });
  }

  async #send(alert: Alert, isOvertaken: () => boolean, minTimeout: number): Promise<void> {
    const { send, log, name } = this.#parts;
    const { signal } = this.#stop;
    await pRetry(() => send(alert, signal), {
      retries: Number.POSITIVE_INFINITY,
      minTimeout,
      maxTimeout: longestWaitMs,
      randomize: true,
      unref: true,
      signal,
      shouldRetry: () => !isOvertaken(),
      onFailedAttempt: ({ error, attemptNumber }) => {
        if (attemptNumber > 1 || error instanceof AbortError) return;
        log(
          'warn',
          'alert_delayed',
          `${name} cannot be told of ${alert.key}, and is tried again: ${error.message}`,
          {},
        );
      },
    });
  }
}

/** Nobody is told that something is over who was not told that it began, nor twice the same. */
function isTold(before: Alert | undefined, { state, summary }: Alert): boolean {
  if (state === 'resolved') return before?.state !== 'firing';
  return before?.state === state && before.summary === summary;
}
