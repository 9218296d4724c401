import { deepFreeze, type JsonObject } from '../schemas/json.ts';
import type { Report } from '../schemas/wire.ts';
import { ConfigClient, type Incoming, type Remote } from './config-client.ts';
import { ClientError } from './errors.ts';
import { Rejection } from './rejection.ts';
import { share } from './share.ts';
import type { Config, Verify } from './types.ts';

/** A config for tests: the same interface and the same rules, and a `set()` in place of a daemon. */
export interface MemoryConfig<S> extends Config<S> {
  /**
   * Commits new settings as the next revision. Resolves when every handler has run; rejects with `ClientError`
   * `rejected` when `verify` or a handler refuses them, and then nothing has changed.
   */
  set(settings: S): Promise<void>;
  /** Plays the loss of the daemon; {@link reconnect} plays its return. */
  disconnect(reason?: string): void;
  reconnect(): void;
  /** What the program has reported and not reported as recovered. */
  readonly failures: ReadonlyMap<string, string>;
}

export interface MemoryConfigOptions<S> {
  readonly verify?: Verify<S>;
}

/** Starts at revision 1 with these settings, which are copied, and with a live link. */
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

  constructor(settings: S, verify: Verify<S> | undefined) {
    const remote = new MemoryRemote(() => this);
    super(remote, verify ? { verify } : {});
    this.failures = remote.failures;
    this.start(this.#incoming(settings));
    this.#isStarted = true;
    this.setLink({ kind: 'live' });
  }

  set(settings: S): Promise<void> {
    const done = this.#tail.then(() => this.#set(settings));
    this.#tail = done.catch(() => {});
    return done;
  }

  disconnect(reason = 'disconnected by the test'): void {
    this.setLink({ kind: 'stale', since: new Date(), reason });
  }

  reconnect(): void {
    this.setLink({ kind: 'live' });
  }

  async #set(settings: S): Promise<void> {
    try {
      await this.adopt({ ...this.#incoming(settings), revision: this.#revision + 1 });
      this.#revision++;
    } catch (error) {
      if (!(error instanceof Rejection)) throw error;
      throw new ClientError('rejected', `the settings are rejected: ${error.message}`, error.cause);
    }
  }

  #incoming(settings: S): Incoming {
    const before = this.#isStarted ? (this.settings as JsonObject) : undefined;
    const copy = deepFreeze(share(before, structuredClone(settings) as JsonObject));
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
  readonly #config: () => Config<unknown>;

  constructor(config: () => Config<unknown>) {
    this.#config = config;
  }

  readonly mayRotate = false;
  readonly failures = new Map<string, string>();

  report({ code, message, recovered }: Report): void {
    if (recovered) this.failures.delete(code);
    else this.failures.set(code, message);
  }

  async request(kind: string) {
    const { snapshot, link } = this.#config();
    if (link.kind !== 'live') throw new ClientError('not_connected', 'the daemon is not connected now');
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
