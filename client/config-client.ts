import { EventEmitter } from 'node:events';
import { deepFreeze, type JsonObject, type JsonValue } from '../schemas/json.ts';
import { compare, formatPaths } from '../schemas/patch.ts';
import { type Path, parsePath, valueAt } from '../schemas/paths.ts';
import {
  maxInboundFrame,
  type Report,
  type RequestFields,
  type RequestKind,
  type RotationResult,
} from '../schemas/wire.ts';
import { overlayEnvironment } from './env-overlay.ts';
import { ClientError } from './errors.ts';
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

  watch(path: string, handler: WatchHandler<never, S>): () => void {
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
    const encoded = Buffer.from(value).toString('base64');
    if (encoded.length > maxInboundFrame - 1_024)
      throw new ClientError('usage', 'a value of more than 47 KiB is too large for this; use `hotconf rotate`');
    if (encoded === '') throw new ClientError('usage', 'the new value is empty');
    return (await this.#remote.request('rotate', { secret: name, value: encoded })) as unknown as RotationResult;
  }

  reportFailure(code: string, message: string): void {
    this.#remote.report({ code, message: withoutValues(message, this.settings as JsonObject) });
  }

  reportRecovery(code: string): void {
    this.#remote.report({ code, message: 'recovered', recovered: true });
  }

  /** The settings with every secret replaced, as the daemon tells them apart. */
  async redacted(): Promise<JsonObject> {
    return (await this.#remote.request('config')) as JsonObject;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    for (const reader of this.#readers) reader.end();
    await this.#remote.close();
    this.setLink({ kind: 'stale', since: new Date(), reason: 'closed' });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  setLink(link: Link): void {
    const was = this.#link;
    if (link.kind === 'live' && was.kind === 'live') return;
    if (link.kind === 'stale' && was.kind === 'stale') {
      if (link.reason === was.reason) return;
      // It is stale since it first was, however often it has tried to come back.
      this.#link = this.#snapshot ? { ...link, since: was.since } : link;
    } else this.#link = link;
    this.#tell('link', this.#link);
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
    const both = AbortSignal.any([signal, this.#closing.signal]);
    const ask = async () => this.#options.verify?.(settings as DeepReadonly<S>, both);
    await this.#try('verify_failed', [...changed, ...removed], settings, ask);
    this.#tried = served;
  }

  /** Resolves when the snapshot is in and every handler has run. Throws `Rejection`; nothing has changed then. */
  async adopt({ settings: served, revision, epoch, committedAt, cause, within }: Incoming): Promise<void> {
    const previous = this.#snapshot;
    const settings = this.#overlaid(served);
    const { changed, removed } = compare(
      (previous?.settings ?? {}) as JsonObject,
      settings,
      this.#options.envPrefix ? undefined : within,
    );
    const touched = [...changed, ...removed];
    const { verify } = this.#options;
    const isTried = this.#tried === served;
    this.#tried = undefined;
    // Nothing is awaited that is not there: a program without handlers has its settings in the turn they came in.
    if (verify && !isTried) {
      const ask = async () => verify(settings as DeepReadonly<S>, this.#closing.signal);
      await this.#try('verify_failed', touched, settings, ask);
    }
    if (previous && this.#watchers.concern(touched)) {
      const run = () => this.#watchers.run(settings, previous.settings as JsonObject, touched);
      await this.#try('handler_failed', touched, settings, run);
    }
    const named = { changed: previous ? formatPaths(changed) : [], removed: formatPaths(removed) };
    this.#snapshot = snapshotOf<S>({ settings, revision, epoch, committedAt, cause }, named);
    if (previous && touched.length > 0) await this.#announce(this.#snapshot);
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
      throw new Rejection(code, isWatch ? [error.path] : formatPaths(paths), isWatch ? error.cause : error, settings);
    }
  }

  /** A listener that fails must not take the connection down with it. */
  #tell(event: 'link', link: Link): void {
    for (const listener of this.#events.listeners(event)) {
      try {
        listener(link);
      } catch {
        process.emitWarning(`a listener of '${event}' failed`, 'HotconfWarning');
      }
    }
  }

  /** Tells everybody who listens. A listener that fails has seen accepted settings all the same. */
  async #announce(snapshot: Snapshot<S>): Promise<void> {
    for (const reader of this.#readers) reader.put(snapshot);
    if (this.#events.listenerCount('change') === 0) return;
    const results = await Promise.allSettled(
      this.#events.listeners('change').map(async (listener) => listener(snapshot)),
    );
    for (const result of results) {
      if (result.status === 'rejected')
        process.emitWarning(`a listener of 'change' failed at revision ${snapshot.revision}`, 'HotconfWarning');
    }
  }
}

function snapshotOf<S>(
  { settings, revision, epoch, committedAt, cause }: Incoming,
  { changed, removed }: { readonly changed: readonly string[]; readonly removed: readonly string[] },
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
  const path = parsePath(text);
  if (!path) throw new ClientError('usage', `'${text}' is not a path in the settings; write it like database.url`);
  return path;
}
