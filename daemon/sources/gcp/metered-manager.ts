import pLimit from 'p-limit';
import type { DaemonError } from '../../model/errors.ts';
import type { Clock } from '../../ops/clock.ts';
import type { SecretManager, SecretPayload, SecretRef } from './secret-manager.ts';
import { secretName } from './secret-manager.ts';

/** Calls at a time; a connection of HTTP/2 carries a hundred. */
const parallel = 50;
/** Listings a minute. The quota is 600 a minute for all daemons of a project together. */
const listingsPerMinute = 100;

/** A Secret Manager that is asked in moderation: so many calls at a time, equal reads at once are one, and all are counted. */
export class MeteredManager implements SecretManager {
  /** Reads by how they ended: `ok`, or the error's code. */
  readonly accesses = new Map<string, number>();
  readonly #inner: SecretManager;
  readonly #clock: Clock;
  readonly #limit = pLimit(parallel);
  readonly #reading = new Map<string, Promise<SecretPayload>>();
  #listings = listingsPerMinute;
  #refilledAt: number;

  constructor(inner: SecretManager, clock: Clock) {
    this.#inner = inner;
    this.#clock = clock;
    this.#refilledAt = clock.monotonic();
  }

  /** Takes one listing out of the budget, if there is one. */
  takeListing(): boolean {
    const now = this.#clock.monotonic();
    this.#listings = Math.min(
      listingsPerMinute,
      this.#listings + ((now - this.#refilledAt) * listingsPerMinute) / 60_000,
    );
    this.#refilledAt = now;
    if (this.#listings < 1) return false;
    this.#listings--;
    return true;
  }

  access(secret: SecretRef, version: number | string, signal: AbortSignal): Promise<SecretPayload> {
    const name = `${secretName(secret)}/versions/${version}`;
    let reading = this.#reading.get(name);
    if (!reading) {
      reading = this.#limit(() => this.#inner.access(secret, version, signal));
      this.#reading.set(name, reading);
      reading.then(
        () => this.#count('ok', name),
        ({ code = 'internal' }: DaemonError) => this.#count(code, name),
      );
    }
    return reading;
  }

  newestEnabled(secret: SecretRef, signal: AbortSignal): Promise<number | undefined> {
    return this.#limit(() => this.#inner.newestEnabled(secret, signal));
  }

  find(filter: string, location: string | undefined, signal: AbortSignal): Promise<readonly SecretRef[]> {
    return this.#limit(() => this.#inner.find(filter, location, signal));
  }

  add(secret: SecretRef, bytes: Uint8Array, signal: AbortSignal): Promise<number> {
    return this.#inner.add(secret, bytes, signal);
  }

  disable(secret: SecretRef, version: number, signal: AbortSignal): Promise<void> {
    return this.#inner.disable(secret, version, signal);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  #count(outcome: string, name: string): void {
    this.#reading.delete(name);
    this.accesses.set(outcome, (this.accesses.get(outcome) ?? 0) + 1);
  }
}
