import { randomUUID } from 'node:crypto';
import pLimit from 'p-limit';
import pRetry, { AbortError } from 'p-retry';
import { type Clock, sleep } from '../ops/clock.ts';
import type { Log } from '../ops/log.ts';
import type { Alert } from './alert-book.ts';

/** Brings one alert to somebody, `id` being the same however often that is tried. Throws why it could not be; {@link AbortError} where trying again is of no use. */
export type SendAlert = (alert: Alert, signal: AbortSignal, id: string) => Promise<void>;

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
const atATime = 4;
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
  readonly #running = new Map<string, Promise<void>>();
  readonly #limit = pLimit(atATime);
  readonly #stop = new AbortController();

  constructor(parts: AlertTargetParts) {
    this.#parts = parts;
  }

  tell(alert: Alert): void {
    if (this.#stop.signal.aborted) return;
    // Each event is news of its own.
    const key = alert.state === 'event' ? `${alert.key} ${alert.since}` : alert.key;
    this.#waiting.set(key, alert);
    for (const oldest of this.#waiting.keys()) if (this.#waiting.size > maxWaiting) this.#waiting.delete(oldest);
    if (this.#running.has(key)) return;
    const running = this.#run(key).finally(() => this.#running.delete(key));
    this.#running.set(key, running);
  }

  /** What has not been told by then is not told. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running.values());
  }

  /** One thing at its own pace: what a target does not take of one keeps back no other. */
  async #run(key: string): Promise<void> {
    const { clock, restMs = 10_000 } = this.#parts;
    const { signal } = this.#stop;
    while (this.#waiting.has(key) && !signal.aborted) {
      const told = this.#told.get(key);
      if (told) await sleep(clock, told.at + restMs - clock.monotonic(), signal);
      if (!signal.aborted) await this.#deliver(key);
    }
  }

  async #deliver(key: string): Promise<void> {
    const { clock, log, name } = this.#parts;
    const alert = this.#waiting.get(key);
    if (!alert) return;
    const isOvertaken = () => this.#waiting.get(key) !== alert;
    const isKnown = isTold(this.#told.get(key)?.alert, alert);
    try {
      if (!isKnown) await this.#send(alert, isOvertaken);
    } catch (error) {
      if (this.#stop.signal.aborted || isOvertaken()) return;
      const message = `${name} does not take an alert about ${alert.key}: ${(error as Error).message}`;
      log('error', 'alert_lost', message, { key });
    }
    if (!isOvertaken()) this.#waiting.delete(key);
    if (!isKnown && alert.state !== 'event') this.#told.set(key, { alert, at: clock.monotonic() });
  }

  async #send(alert: Alert, isOvertaken: () => boolean): Promise<void> {
    const { send, log, name, firstWaitMs = 1_000 } = this.#parts;
    const { signal } = this.#stop;
    const id = `msg_${randomUUID()}`;
    await pRetry(() => this.#limit(() => send(alert, signal, id)), {
      retries: Number.POSITIVE_INFINITY,
      minTimeout: firstWaitMs,
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
