import type { Actor, ReloadOutcome } from '../model/snapshot.ts';
import { type Clock, sleep, systemClock } from '../ops/clock.ts';

/** After a reload that a program asked for, programs' reloads rest for so many times as long as it took. */
const restFactor = 4;
const maxRestMs = 10_000;

/**
 * Reloads that programs ask for, together at most a fifth of the daemon's time: they must not hold up what the sources
 * say by themselves. Who asks during a rest shares the reload that follows it.
 */
export class PacedReloads {
  readonly #reload: (actor: Actor) => Promise<ReloadOutcome>;
  readonly #clock: Clock;
  #rested: Promise<void> | undefined;
  #next: Promise<ReloadOutcome> | undefined;

  constructor(reload: (actor: Actor) => Promise<ReloadOutcome>, clock: Clock = systemClock) {
    this.#reload = reload;
    this.#clock = clock;
  }

  run(actor: Actor): Promise<ReloadOutcome> {
    if (!this.#rested) return this.#begin(actor);
    this.#next ??= this.#rested.then(() => {
      this.#next = undefined;
      return this.#begin(actor);
    });
    return this.#next;
  }

  #begin(actor: Actor): Promise<ReloadOutcome> {
    const startedAt = this.#clock.monotonic();
    const run = this.#reload(actor);
    const rest = () => {
      const tookMs = this.#clock.monotonic() - startedAt;
      return sleep(this.#clock, Math.min(maxRestMs, tookMs * restFactor));
    };
    const rested = run.then(rest, rest).then(() => {
      if (this.#rested === rested) this.#rested = undefined;
    });
    this.#rested = rested;
    return run;
  }
}
