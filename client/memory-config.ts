import { deepFreeze, type JsonObject } from '../schemas/json.ts';
import type { Report } from '../schemas/wire.ts';
import { ConfigClient, type Incoming, type Remote } from './config-client.ts';
import { ClientError } from './errors.ts';
import { fit } from './fit-frame.ts';
import { Rejection } from './rejection.ts';
import { share } from './share.ts';
import { toJson } from './to-json.ts';
import type { Config, Verify } from './types.ts';

/** A config for tests: the same interface and the same rules, and a `set()` in place of a daemon. */
export interface MemoryConfig<S> extends Config<S> {
  /**
   * Commits new settings as the next revision; equal ones commit nothing. Resolves when every handler has run. Rejects
   * with `ClientError`: `rejected` when `verify` or a handler refuses them, `usage` for what JSON cannot hold,
   * `not_connected` between {@link disconnect} and {@link reconnect}, `closed`. Nothing has changed then.
   */
  set(settings: S): Promise<void>;
  /** Resolves when `verify` has accepted the first settings; rejects with `ClientError` `rejected`, as {@link set} then does. */
  readonly verified: Promise<void>;
  /** Plays the loss of the daemon; {@link reconnect} plays its return. */
  disconnect(reason?: string): void;
  reconnect(): void;
  /** What the program has reported and not reported as recovered. */
  readonly failures: ReadonlyMap<string, string>;
}

export interface MemoryConfigOptions<S> {
  readonly verify?: Verify<S>;
}

/**
 * Starts at revision 1 with these settings, which are copied, and with a live link. Throws `ClientError`: `rejected` when
 * `verify` throws at once, `usage` for settings that JSON cannot hold, such as a `Date`.
 */
export function createMemoryConfig<S = Record<string, unknown>>(
  settings: S,
  { verify }: MemoryConfigOptions<S> = {},
): MemoryConfig<S> {
  return new MemoryConfigClient<S>(settings, verify);
}

class MemoryConfigClient<S> extends ConfigClient<S> implements MemoryConfig<S> {
  #revision = 1;
  #isStarted = false;
  #tail: Promise<unknown> = Promise.resolve();

  readonly failures: ReadonlyMap<string, string>;
  readonly verified: Promise<void>;

  constructor(settings: S, verify: Verify<S> | undefined) {
    const remote = new MemoryRemote(() => this as ConfigClient<unknown>);
    super(remote, verify ? { verify } : {});
    this.failures = remote.failures;
    this.start(this.#incoming(settings));
    this.#isStarted = true;
    this.setLink({ kind: 'live' });
    this.verified = this.#verifyFirst(verify);
    // A test that does not await `verified` gets the failure from `set`.
    this.verified.catch(() => {});
  }

  set(settings: S): Promise<void> {
    const done = this.#tail.then(() => this.verified).then(() => this.#set(settings));
    this.#tail = done.catch(() => {});
    return done;
  }

  #verifyFirst(verify: Verify<S> | undefined): Promise<void> {
    try {
      const verdict = verify?.(this.settings, this.closed);
      return Promise.resolve(verdict).then(
        () => {},
        (error) => {
          throw rejected(error);
        },
      );
    } catch (error) {
      throw rejected(error);
    }
  }

  disconnect(reason = 'disconnected by the test'): void {
    this.setLink({ kind: 'stale', since: new Date(), reason });
  }

  reconnect(): void {
    this.setLink({ kind: 'live' });
  }

  async #set(settings: S): Promise<void> {
    requireLive(this);
    const incoming = this.#incoming(settings);
    if (incoming.settings === this.settings) return;
    try {
      await this.adopt({ ...incoming, revision: this.#revision + 1 });
      this.#revision++;
    } catch (error) {
      throw error instanceof Rejection ? rejected(error.cause) : error;
    }
  }

  #incoming(settings: S): Incoming {
    const before = this.#isStarted ? (this.settings as JsonObject) : undefined;
    const copy = deepFreeze(share(before, toJson(settings) as JsonObject));
    return {
      settings: copy,
      revision: this.#revision,
      epoch: 'memory',
      committedAt: new Date().toISOString(),
      cause: 'test',
    };
  }
}

class MemoryRemote implements Remote {
  readonly #config: () => ConfigClient<unknown>;

  constructor(config: () => ConfigClient<unknown>) {
    this.#config = config;
  }

  readonly mayRotate = false;
  readonly failures = new Map<string, string>();

  report(given: Report): void {
    const { code, message, recovered } = fit('report', given);
    if (recovered) this.failures.delete(code);
    else this.failures.set(code, message);
  }

  async request(kind: string) {
    const { snapshot } = requireLive(this.#config());
    const { revision, epoch, committedAt, settings } = snapshot;
    if (kind === 'rotate') throw new ClientError('not_allowed', 'there is no Secret Manager behind a memory config');
    if (kind === 'reload') return { outcome: 'unchanged', revision, changed: [] };
    if (kind === 'validate') return { valid: true, issues: [] };
    if (kind === 'config') return settings as JsonObject;
    const configured = Object.fromEntries(Object.keys(settings as object).map((part) => [part, true]));
    const loadedAt = committedAt.toISOString();
    return {
      environment: 'development',
      revision,
      epoch,
      loadedAt,
      hotReloadEnabled: true,
      secretsLoaded: 0,
      configured,
      sources: [],
      lastReload: null,
    };
  }

  async close(): Promise<void> {}
}

function requireLive<S>(config: ConfigClient<S>): ConfigClient<S> {
  if (config.closed.aborted) throw new ClientError('closed', 'the config is closed');
  if (config.link.kind !== 'live') throw new ClientError('not_connected', 'the daemon is not connected now');
  return config;
}

function rejected(cause: unknown): ClientError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new ClientError('rejected', `the settings are rejected: ${why}`, cause);
}
