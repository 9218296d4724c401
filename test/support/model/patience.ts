import { stat } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const now = () => performance.now();
/** How often is looked. */
const tickMs = 10;
/** A timer or a file call that is later than this shows a busy machine. */
const lateMs = 40;
/** However busy the machine is, nothing is waited for longer than so many times as long. */
const maxFactor = 10;

/**
 * Time in which this machine kept up. The daemon of a model lives ten times as fast as its clocks were made for, so a
 * busy machine makes it late without any fault of its own: such time counts for no deadline.
 */
class Patience {
  #calmMs = 0;
  #lateAt = Number.NEGATIVE_INFINITY;
  #probedAt: number | undefined;

  constructor() {
    let last = now();
    setInterval(() => {
      const at = now();
      const isLate = at - last > tickMs + lateMs || (this.#probedAt !== undefined && at - this.#probedAt > lateMs);
      if (isLate) this.#lateAt = at;
      else this.#calmMs += at - last;
      last = at;
      this.#probe();
    }, tickMs).unref();
  }

  /** Whether the machine was late within the last milliseconds. */
  wasLate(withinMs: number): boolean {
    return now() - this.#lateAt < withinMs;
  }

  /** Says whether so many calm milliseconds have passed since this call. */
  deadline(ms: number): () => boolean {
    const [calm, at] = [this.#calmMs, now()];
    return () => this.#calmMs - calm >= ms || now() - at >= ms * maxFactor;
  }

  /** Whether a condition comes true within calm milliseconds. */
  async comes(condition: () => unknown | Promise<unknown>, withinMs: number): Promise<boolean> {
    for (const isOver = this.deadline(withinMs); ; await sleep(5)) {
      if (await condition()) return true;
      if (isOver()) return false;
    }
  }

  // All file calls share few threads.
  #probe(): void {
    if (this.#probedAt !== undefined) return;
    this.#probedAt = now();
    stat('/', () => {
      this.#probedAt = undefined;
    });
  }
}
export const patience = new Patience();
