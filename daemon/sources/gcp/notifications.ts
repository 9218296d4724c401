import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { DaemonError } from '../../model/errors.ts';
import { type Clock, sleep } from '../../ops/clock.ts';
import type { GcpOptions, NotificationOptions } from '../../ops/gcp-options.ts';
import type { Log } from '../../ops/log.ts';
import type { PubsubSubscription } from './pubsub-subscription.ts';
import { parseSecretEvent, type SecretEvent } from './secret-event.ts';

/** What became of an event: it is news, was known, or concerns no secret or no project of ours. */
export type MessageOutcome = 'news' | 'known' | 'unknown' | 'foreign';

export interface NotificationsParts {
  readonly options: GcpOptions;
  readonly notifications: NotificationOptions;
  readonly instance: () => string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  /** Says what became of an event. */
  readonly onEvent: (event: SecretEvent) => MessageOutcome;
  /** Messages come again after they may not have: there may be a gap. */
  readonly onBack: () => void;
  readonly onHealth: () => void;
}

const firstWaitMs = 250;
const longestWaitMs = 10_000;
/** How long the first attempt may hold up a start. */
const startWithinMs = 6_000;
const stopWithinMs = 4_000;

/**
 * Keeps one subscription open for as long as it is wanted: makes it, opens it, and does so again whenever it dies.
 * Every message is acknowledged, whatever it says; what a lost one would have told is found by a resync.
 */
export class Notifications {
  /** Messages by what became of them. */
  readonly messages = new Map<string, number>();
  readonly #parts: NotificationsParts;
  readonly #stop = new AbortController();
  #subscription: PubsubSubscription | undefined;
  #problem: DaemonError | undefined;
  #hasBeenUp = false;
  #isOpen = false;
  /** The stream was cut, and whether Pub/Sub is there at all is not known. */
  #isInDoubt = false;
  #isGarbageTold = false;
  #running: Promise<void> = Promise.resolve();
  #wake = () => {};

  constructor(parts: NotificationsParts) {
    this.#parts = parts;
  }

  /** Why no messages come now. */
  get problem(): DaemonError | undefined {
    return this.#problem;
  }

  /** Resolves when the subscription is open; where that cannot be, soon, and goes on trying. */
  async start(): Promise<void> {
    const tried = Promise.withResolvers<void>();
    this.#running = this.#run(tried.resolve);
    await Promise.race([tried.promise, sleep(this.#parts.clock, startWithinMs)]);
  }

  /** Looks whether the subscription is still there and still one to our topic. */
  check(): void {
    this.#wake();
  }

  /** Deletes the subscription, unless Pub/Sub takes too long for that: it expires by itself. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#wake();
    const stopped = this.#running.then(() => this.#subscription?.stop());
    await Promise.race([stopped, sleep(this.#parts.clock, stopWithinMs)]);
  }

  async #run(tried: () => void): Promise<void> {
    const { signal } = this.#stop;
    const { clock, random } = this.#parts;
    for (let failures = 0; !signal.aborted; ) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      try {
        await this.#up();
        failures = 0;
        tried();
        await woken;
      } catch (error) {
        tried();
        this.#setProblem(error);
        await sleep(clock, random() * Math.min(firstWaitMs * 2 ** failures++, longestWaitMs), signal);
      }
    }
  }

  async #up(): Promise<void> {
    const subscription = await this.#load();
    const outcome = await subscription.ensure();
    const wasDown = this.#problem !== undefined || this.#isInDoubt || !this.#isOpen || outcome === 'made';
    this.#isInDoubt = false;
    if (!this.#isOpen || outcome === 'made') {
      this.#isOpen = true;
      await subscription.open({
        onMessage: (attributes, id) => this.#onMessage(attributes, id),
        onDoubt: () => {
          this.#isInDoubt = true;
          this.#wake();
        },
        onDead: () => {
          this.#isOpen = false;
          this.#wake();
        },
      });
    }
    this.#setProblem(undefined);
    if (wasDown && this.#hasBeenUp) this.#parts.onBack();
    this.#hasBeenUp = true;
  }

  async #load(): Promise<PubsubSubscription> {
    if (!this.#subscription) {
      const { options, notifications, instance } = this.#parts;
      const { PubsubSubscription } = await import('./pubsub-subscription.ts');
      const endpoint = options.endpoints.pubsub;
      this.#subscription = new PubsubSubscription({
        project: options.project,
        notifications,
        name: subscriptionName(`${instance()} ${notifications.topic}`),
        ...(endpoint && { endpoint }),
      });
    }
    return this.#subscription;
  }

  #onMessage(attributes: Readonly<Record<string, string>>, id: string): void {
    const event = parseSecretEvent(attributes, id);
    const outcome = event === undefined ? 'garbage' : event === 'nothing' ? 'ignored' : this.#parts.onEvent(event);
    this.messages.set(outcome, (this.messages.get(outcome) ?? 0) + 1);
    if (outcome !== 'garbage' || this.#isGarbageTold) return;
    this.#isGarbageTold = true;
    const what = `a message on ${this.#parts.notifications.topic} is no notification of Secret Manager; later ones are only counted`;
    this.#parts.log('warn', 'notification_unreadable', what, { messageId: id });
  }

  #setProblem(thrown: unknown): void {
    const before = this.#problem;
    const problem =
      thrown === undefined || thrown instanceof DaemonError
        ? thrown
        : new DaemonError('internal', `notifications failed: ${(thrown as Error).name}`, { cause: thrown });
    this.#problem = problem;
    if (before?.message === problem?.message) return;
    const { log, onHealth, notifications } = this.#parts;
    if (problem)
      log('warn', 'notifications_failed', `no notifications: ${problem.message}`, { errorType: problem.code });
    else log('info', 'notifications_recovered', `notifications come from ${notifications.topic} again`, {});
    onHealth();
  }
}

/** `hotconf-<host>-<hash>`: one for each daemon, the same after a crash. */
function subscriptionName(instance: string): string {
  const host = hostname()
    .toLowerCase()
    .replace(/[^a-z0-9-]/g, '-')
    .slice(0, 60);
  return `hotconf-${host}-${createHash('sha256').update(`${hostname()} ${instance}`).digest('hex').slice(0, 12)}`;
}
