import type { Issue } from '../schemas/errors.ts';
import type { RotationResult } from '../schemas/wire.ts';
import type { Path, PathOf, ValueAt } from './path-types.ts';

/** Read-only to the leaves, as settings are served. */
export type DeepReadonly<T> = T extends (infer Item)[] | readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T;

/** Settings that the daemon committed and this program accepted. */
export interface Snapshot<S> {
  /** Deeply frozen. Parts that did not change are the same objects as in the snapshot before. */
  readonly settings: DeepReadonly<S>;
  /** +1 with each commit of an epoch; may skip, for a slow program gets only the newest. */
  readonly revision: number;
  /** The lineage of the revisions. */
  readonly epoch: string;
  readonly committedAt: Date;
  /** What made the daemon reload: `file`, `env`, `operator`, ... */
  readonly cause: string;
  /** Paths whose value differs from this program's snapshot before. */
  readonly changed: readonly string[];
  /** Paths that are gone since this program's snapshot before. */
  readonly removed: readonly string[];
}

/** Whether the daemon is heard. A stale config keeps its settings and recovers by itself. */
export type Link =
  | { readonly kind: 'live' }
  | { readonly kind: 'stale'; readonly since: Date; readonly reason: string };

/**
 * Gets the part of the settings at its path, the same part as it was before, and all of the settings that `next` is a
 * part of: what changed together is seen together.
 */
export type WatchHandler<Value, S = unknown> = (next: Value, previous: Value, settings: DeepReadonly<S>) => unknown;

/** Tries settings before this program accepts them. Throwing rejects them. */
export type Verify<S> = (next: DeepReadonly<S>, signal: AbortSignal) => unknown;

export interface ConnectOptions<S> {
  /**
   * The view's socket. Default: `HOTCONF_SOCKET`, else `default.sock` in the first of these folders in which there is one of
   * root's or of this user's: `./.hotconf`, here or above up to the folder with the package.json; `$RUNTIME_DIRECTORY`;
   * `$XDG_RUNTIME_DIR/hotconf` or `<tmp>/hotconf-<uid>`; `/run/hotconf`.
   */
  readonly socket?: string;
  /** Shown in `hotconf status`; at most 200 characters. Default: the name of the running script. */
  readonly name?: string;
  /** Milliseconds to wait for the first snapshot; `Infinity` waits for a daemon that starts later. Default 5,000. */
  readonly timeoutMs?: number;
  readonly verify?: Verify<S>;
  /** Lays this process's own environment over the settings: `APP_DATABASE__URL` over `database.url`. */
  readonly env?: { readonly prefix: string };
  /** Aborting it closes the config. */
  readonly signal?: AbortSignal;
  /**
   * The user that the daemon runs as, by number, besides root and this process's own; a socket of anybody else is refused.
   * Default: `HOTCONF_DAEMON_UID`.
   */
  readonly daemonUid?: number;
  /** `false`: once connected, neither the connection nor waiting for it keeps the process alive. Default `true`. */
  readonly keepAlive?: boolean;
  /** Only looks on: is not counted as a program that runs by the settings. Default false. */
  readonly observe?: boolean;
}

export interface ReloadResult {
  readonly outcome: 'committed' | 'unchanged' | 'rejected';
  readonly revision?: number;
  readonly changed?: readonly string[];
  readonly code?: string;
  readonly message?: string;
  readonly issues?: readonly Issue[];
}

export interface ValidationResult {
  readonly valid: boolean;
  readonly issues: readonly Issue[];
}

export interface Summary {
  readonly environment: string;
  readonly revision: number;
  readonly epoch: string;
  readonly loadedAt: string;
  readonly hotReloadEnabled: boolean;
  readonly secretsLoaded: number;
  /** Which of the schema's top-level parts have a value. */
  readonly configured: Readonly<Record<string, boolean>>;
  readonly sources: readonly { readonly id: string; readonly kind: string; readonly state: string }[];
  readonly lastReload: { readonly at: string; readonly outcome: string; readonly revision: number } | null;
}

export interface ConfigEvents<S> {
  /** After every accepted snapshot. What a listener returns is awaited before the daemon hears of the accept. */
  change: (snapshot: Snapshot<S>) => unknown;
  link: (link: Link) => unknown;
}

/** A program's settings, kept current. Reading is synchronous and never fails. */
export interface Config<S> extends AsyncDisposable {
  /** The newest accepted settings. */
  readonly settings: DeepReadonly<S>;
  readonly snapshot: Snapshot<S>;
  readonly link: Link;
  /** The value at a path; `undefined` when there is none. */
  get<P extends PathOf<S>>(path: P): DeepReadonly<ValueAt<S, P>>;
  get(path: Path): unknown;
  /**
   * Calls the handler when something at, in or above the path changed, before the new settings are visible in
   * {@link settings}. All handlers of a snapshot run at once. When one throws, the snapshot is rejected: those that
   * succeeded are called again with the parts exchanged, and the program keeps what it had. Returns how to stop: a
   * handler that is stopped, or whose config is closed, is not called any more, not even to undo.
   */
  watch<P extends PathOf<S>>(path: P, handler: WatchHandler<DeepReadonly<ValueAt<S, P>>, S>): () => void;
  watch(path: Path, handler: WatchHandler<unknown, S>): () => void;
  /** ... when anything changed. */
  watch(handler: WatchHandler<DeepReadonly<S>, S>): () => void;
  on<Event extends keyof ConfigEvents<S>>(event: Event, listener: ConfigEvents<S>[Event]): this;
  off<Event extends keyof ConfigEvents<S>>(event: Event, listener: ConfigEvents<S>[Event]): this;
  /** The snapshots from now on; only the newest for a reader that is slow. Ends when the signal aborts or on close. */
  changes(options?: { readonly signal?: AbortSignal }): AsyncIterableIterator<Snapshot<S>>;
  /** Asks the daemon to read every source again. Needs the view's `mayReload`. The reason is cut to 500 characters. */
  reload(options?: { readonly reason?: string }): Promise<ReloadResult>;
  /** What a reload would give now. */
  validate(): Promise<ValidationResult>;
  summary(): Promise<Summary>;
  /** Whether {@link rotateSecret} is possible here: the daemon has Secret Manager, and the view's `mayRotate` is set. */
  readonly supportsRotation: boolean;
  /**
   * Adds a version to a secret and resolves when every program has accepted it, this one included. What the schema or a
   * program rejects is taken back; operators see which program and why, the result names none. The view has to show all of
   * the secret, wherever it is mounted. At most 47 KiB; text is sent as UTF-8.
   */
  rotateSecret(name: string, value: string | Uint8Array): Promise<RotationResult>;
  /**
   * Tells the daemon of a failure with the settings that this program runs, noticed after it accepted them: shown in
   * `hotconf status`, and while a rollout bakes it counts as a rejection. Told again after a reconnect, until
   * {@link reportRecovery}. Never put a value in the message; those of the settings are taken out. The code is cut to 64
   * characters and the message to 2,000.
   */
  reportFailure(code: string, message: string): void;
  /** What was reported under this code is over. */
  reportRecovery(code: string): void;
  /** Ends the connection. The settings stay readable and never change again; no handler or `change` listener is called. */
  close(): Promise<void>;
}
