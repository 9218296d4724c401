import type { Clock } from '../../ops/clock.ts';
import type { GcpOptions } from '../../ops/gcp-options.ts';
import { MeteredManager } from './metered-manager.ts';

/**
 * One Secret Manager for all who read by the same options: sources of their own for looking share its connection and its
 * moderation, so that looking often costs the quota no more. Closed when the last one has given it back.
 */
export class SharedManager {
  readonly #options: GcpOptions;
  readonly #clock: Clock;
  #users = 0;
  #manager: Promise<MeteredManager> | undefined;

  constructor(options: GcpOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  /** To be ended by {@link release}. */
  open(): Promise<MeteredManager> {
    this.#users++;
    const { project, endpoints } = this.#options;
    const { secretManager: endpoint } = endpoints;
    // Google's packages take 55 MB: they are loaded only where they are needed.
    this.#manager ??= import('./secret-manager-client.ts').then(
      ({ SecretManagerClient }) =>
        new MeteredManager(new SecretManagerClient({ project, ...(endpoint && { endpoint }) }), this.#clock),
    );
    return this.#manager;
  }

  async release(): Promise<void> {
    if (--this.#users > 0) return;
    const manager = this.#manager;
    this.#manager = undefined;
    await (await manager)?.close();
  }
}
