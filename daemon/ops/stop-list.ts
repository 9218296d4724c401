import type { Log } from './log.ts';

/** What has been started, to be stopped in reverse. One part that cannot be stopped keeps no other from it. */
export class StopList {
  readonly #stops: (() => Promise<void> | void)[] = [];

  add(stop: () => Promise<void> | void): void {
    this.#stops.push(stop);
  }

  /** Never rejects. */
  async stopAll(log: Log): Promise<void> {
    for (const stop of this.#stops.splice(0).reverse()) {
      try {
        await stop();
      } catch (error) {
        log('error', 'stop_failed', `a part did not stop: ${(error as Error).message}`, {});
      }
    }
  }
}
