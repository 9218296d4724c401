import { EventEmitter } from 'node:events';
import { deepFreeze, type JsonObject, type JsonValue } from '../schemas/json.ts';
import { compare, formatPaths } from '../schemas/patch.ts';
import { type Path, parsePath, valueAt } from '../schemas/paths.ts';
import type { Report, RequestFields, RequestKind, RotationResult } from '../schemas/wire.ts';
import { toDaemonLimits } from '../schemas/wire-limits.ts';
import { overlayEnvironment } from './env-overlay.ts';
import { ClientError } from './errors.ts';
import { requireWhole } from './fit-frame.ts';
import { Latest } from './latest.ts';
import { Rejection, withoutValues } from './rejection.ts';
import type {
  Config,
  ConfigEvents,
  DeepReadonly,
  Link,
  ReloadResult,
  Snapshot,
  Summary,
  ValidationResult,
  Verify,
  WatchHandler,
} from './types.ts';
import { Watchers, WatchFailure } from './watchers.ts';

/** What a config asks of whatever gives it snapshots. */
export interface Remote {
  request(kind: RequestKind, fields?: RequestFields): Promise<JsonValue>;
  /** Tells of a failure, or of its end; kept until it can be told. */
  report(report: Report): void;
  readonly mayRotate: boolean;
  close(): Promise<void>;
}

export interface ConfigClientOptions<S> {
  readonly verify?: Verify<S>;
  readonly envPrefix?: string;
}

/** A committed snapshot as it came in. */
export interface Incoming {
  readonly settings: JsonObject;
  readonly revision: number;
  readonly epoch: string;
  readonly committedAt: string;
  readonly cause: string;
  /** Where all that differs from the settings before lies, when that is known. */
  readonly within?: readonly Path[];
}

/**
 * A program's settings, whatever brings them. {@link adopt} is called with one snapshot at a time and lets it in only
 * when `verify` and every handler agree.
 */
export class ConfigClient<S> implements Config<S> {
  readonly #options: ConfigClientOptions<S>;
  readonly #remote: Remote;
  readonly #events = new EventEmitter();
  readonly #watchers = new Watchers();
  readonly #readers = new Set<Latest<Snapshot<S>>>();
  readonly #closing = new AbortController();
  #snapshot: Snapshot<S> | undefined;
  /** What `verify` has found good and is not committed yet. */
  #tried: JsonObject | undefined;
  /** Aborts the `verify` that runs now. */
  #asking: AbortController | undefined;
  #link: Link = { kind: 'stale', since: new Date(), reason: 'not connected yet' };

  constructor(remote: Remote, options: ConfigClientOptions<S>) {
    this.#remote = remote;
    this.#options = options;
  }

  get settings(): DeepReadonly<S> {
    return this.snapshot.settings;
  }

  get snapshot(): Snapshot<S> {
    // `connect` hands a config out only after its first snapshot.
    return this.#snapshot!;
  }

  get link(): Link {
    return this.#link;
  }

  get(path: string) {
    return valueAt(this.settings as JsonObject, toPath(path)) as never;
  }

  watch(...args: [string, WatchHandler<never, S>] | [WatchHandler<never, S>]): () => void {
    const [path, handler] = args.length === 1 ? ['', args[0]] : args;
    if (typeof handler !== 'function') throw new ClientError('usage', 'the handler of watch() is a function');
    return this.#watchers.add(toPath(path), path, handler as unknown as WatchHandler<JsonValue | undefined, never>);
  }

  on<Event extends keyof ConfigEvents<S>>(event: Event, listener: ConfigEvents<S>[Event]): this {
    this.#events.on(event, listener as () => void);
    return this;
  }

  off<Event extends keyof ConfigEvents<S>>(event: Event, listener: ConfigEvents<S>[Event]): this {
    this.#events.off(event, listener as () => void);
    return this;
  }

  changes({ signal }: { readonly signal?: AbortSignal } = {}): AsyncIterableIterator<Snapshot<S>> {
    const end = () => reader.end();
    const reader = new Latest<Snapshot<S>>(() => {
      this.#readers.delete(reader);
      signal?.removeEventListener('abort', end);
    });
    this.#readers.add(reader);
    signal?.addEventListener('abort', end);
    if (signal?.aborted || this.#closing.signal.aborted) reader.end();
    return reader;
  }

  async reload({ reason }: { readonly reason?: string } = {}): Promise<ReloadResult> {
    return (await this.#remote.request('reload', reason === undefined ? {} : { reason })) as unknown as ReloadResult;
  }

  async validate(): Promise<ValidationResult> {
    const { valid, issues } = (await this.#remote.request('validate')) as unknown as ValidationResult;
    return { valid, issues };
  }

  async summary(): Promise<Summary> {
    return (await this.#remote.request('summary')) as unknown as Summary;
  }

  get supportsRotation(): boolean {
    return this.#remote.mayRotate;
  }

  async rotateSecret(name: string, value: string | Uint8Array): Promise<RotationResult> {
    const limits = toDaemonLimits.request;
    requireWhole('the name of a secret', name, limits.secret);
    if (!/^[ -~]+$/.test(name)) throw new ClientError('usage', 'the name of a secret is in ASCII');
    if (typeof value !== 'string' && !(value instanceof Uint8Array))
      throw new ClientError('usage', 'the new value is a text or a Uint8Array');
    const encoded = Buffer.from(value).toString('base64');
    if (encoded.length > limits.value.chars)
      throw new ClientError('usage', 'a value of more than 47 KiB is too large for this; use `hotconf rotate`');
    if (encoded === '') throw new ClientError('usage', 'the new value is empty');
    return (await this.#remote.request('rotate', { secret: name, value: encoded })) as unknown as RotationResult;
  }

  reportFailure(code: string, message: string): void {
    this.#remote.report({ code, message: withoutValues(message, [this.settings as JsonObject]) });
  }

  reportRecovery(code: string): void {
    this.#remote.report({ code, message: 'recovered', recovered: true });
  }

  /** The settings with every secret replaced, as the daemon tells them apart. */
  async redacted(): Promise<JsonObject> {
    return (await this.#remote.request('config')) as JsonObject;
  }

  /** Aborts when the config is closed. */
  get closed(): AbortSignal {
    return this.#closing.signal;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#asking?.abort();
    this.#watchers.close();
    for (const reader of this.#readers) reader.end();
    await this.#remote.close();
    this.#changeLink({ kind: 'stale', since: new Date(), reason: 'closed' });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Records the state of the link. Does nothing after the config was closed. */
  setLink(link: Link): void {
    if (!this.closed.aborted) this.#changeLink(link);
  }

  #changeLink(link: Link): void {
    const was = this.#link;
    if (link.kind === 'live' && was.kind === 'live') return;
    if (link.kind === 'stale' && was.kind === 'stale') {
      if (link.reason === was.reason) return;
      // It is stale since it first was, however often it has tried to come back.
      this.#link = this.#snapshot ? { ...link, since: was.since } : link;
    } else this.#link = link;
    this.#notify('link', this.#link);
  }

  /** Takes the first settings as they are, at once. */
  start(incoming: Incoming): void {
    this.#snapshot = snapshotOf<S>(incoming, { changed: [], removed: [] });
  }

  /** Has `verify` try settings, which are not taken. Throws `Rejection`. */
  async tryOut(served: JsonObject, signal: AbortSignal): Promise<void> {
    this.#tried = undefined;
    const settings = this.#overlaid(served);
    const { changed, removed } = compare((this.#snapshot?.settings ?? {}) as JsonObject, settings);
    const ask = async () => this.#options.verify?.(settings as DeepReadonly<S>, signal);
    await this.#try('verify_failed', [...changed, ...removed], settings, ask);
    // After a timeout the daemon may have sent another candidate, which this result says nothing about.
    if (!signal.aborted) this.#tried = served;
  }

  /**
   * Lets a snapshot in: at once when nobody is to be asked, or as soon as everybody has answered. Throws or rejects by
   * `Rejection`, or by `ClientError` `closed` when the config was closed meanwhile; nothing has changed then.
   */
  adopt(incoming: Incoming): void | Promise<void> {
    const { settings: served, within } = incoming;
    const previous = this.#snapshot;
    const settings = this.#overlaid(served);
    const base = (previous?.settings ?? {}) as JsonObject;
    const { changed, removed } = compare(base, settings, this.#options.envPrefix ? undefined : within);
    const touched = removed.length === 0 ? changed : [...changed, ...removed];
    const isTried = this.#tried === served;
    this.#tried = undefined;
    const named = { changed: previous ? formatPaths(changed) : [], removed: formatPaths(removed) };
    const verify = isTried ? undefined : this.#options.verify;
    const isConcern = previous !== undefined && this.#watchers.concern(touched);
    if (!verify && !isConcern) return this.#accept({ ...incoming, settings }, named);
    return this.#ask(verify, settings, base, touched).then(() => this.#accept({ ...incoming, settings }, named));
  }

  async #ask(
    verify: Verify<S> | undefined,
    settings: JsonObject,
    previous: JsonObject,
    touched: readonly Path[],
  ): Promise<void> {
    if (verify) {
      const asking = new AbortController();
      this.#asking = asking;
      const ask = async () => verify(settings as DeepReadonly<S>, asking.signal);
      await this.#try('verify_failed', touched, settings, ask);
    }
    // The handlers are looked up now, because some may have been added while `verify` ran.
    await this.#try('handler_failed', touched, settings, () => this.#watchers.run(settings, previous, touched));
  }

  /** The snapshot is visible from here on. Resolves, where there is something to wait for, when every listener has run. */
  #accept(incoming: Incoming, named: Named): void | Promise<void> {
    if (this.closed.aborted) throw new ClientError('closed', 'the config was closed');
    const isFirst = this.#snapshot === undefined;
    const snapshot = snapshotOf<S>(incoming, named);
    this.#snapshot = snapshot;
    if (!isFirst && named.changed.length + named.removed.length > 0) return this.#announce(snapshot);
  }

  #overlaid(served: JsonObject): JsonObject {
    const { envPrefix } = this.#options;
    if (envPrefix === undefined) return served;
    try {
      return deepFreeze(overlayEnvironment(served, envPrefix, process.env));
    } catch (error) {
      throw new Rejection('env_not_convertible', [], error, served);
    }
  }

  async #try(
    code: 'verify_failed' | 'handler_failed',
    paths: readonly Path[],
    settings: JsonObject,
    task: () => Promise<unknown>,
  ): Promise<void> {
    try {
      await task();
    } catch (error) {
      const isWatch = error instanceof WatchFailure;
      const current = (this.#snapshot?.settings ?? {}) as JsonObject;
      const cause = isWatch ? error.cause : error;
      throw new Rejection(code, isWatch ? [error.path] : formatPaths(paths), cause, settings, current);
    }
  }

  /** Announces settings that were accepted, to readers and to listeners. */
  #announce(snapshot: Snapshot<S>): void | Promise<void> {
    for (const reader of this.#readers) reader.put(snapshot);
    return this.#notify('change', snapshot, ` at revision ${snapshot.revision}`);
  }

  /**
   * Calls every listener. Returns a promise only when a listener did; it resolves when all have ended. A listener that
   * fails causes a warning and nothing else.
   */
  #notify(event: 'link' | 'change', value: unknown, when = ''): void | Promise<void> {
    const failed = () => process.emitWarning(`a listener of '${event}' failed${when}`, 'HotconfWarning');
    const waits: Promise<void>[] = [];
    for (const listener of this.#events.listeners(event)) {
      if (event === 'change' && this.closed.aborted) break;
      try {
        const result: unknown = listener(value);
        if (isThenable(result)) waits.push(Promise.resolve(result).then(() => {}, failed));
      } catch {
        failed();
      }
    }
    if (waits.length > 0) return Promise.all(waits).then(() => {});
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | undefined)?.then === 'function';
}

/** What differs from the snapshot before, by name. */
interface Named {
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

function snapshotOf<S>(
  { settings, revision, epoch, committedAt, cause }: Incoming,
  { changed, removed }: Named,
): Snapshot<S> {
  return Object.freeze({
    settings: settings as DeepReadonly<S>,
    revision,
    epoch,
    committedAt: new Date(committedAt),
    cause,
    changed: Object.freeze(changed),
    removed: Object.freeze(removed),
  });
}

function toPath(text: string) {
  const path = typeof text === 'string' ? parsePath(text) : undefined;
  if (!path) throw new ClientError('usage', `'${text}' is not a path in the settings; write it like database.url`);
  return path;
}
