import type { RotationResult } from '../schemas/wire.ts';
import type { ConfigClient } from './config-client.ts';
import { openConfig } from './connect.ts';
import { ClientError } from './errors.ts';
import type { Config, ConnectOptions, DeepReadonly, ReloadResult, Summary, ValidationResult } from './types.ts';

/** The shared connection, or the attempt to open it. */
interface Shared {
  readonly opening: Promise<ConfigClient<unknown>>;
  readonly stop: AbortController;
  config?: ConfigClient<unknown>;
}

let shared: Shared | undefined;

/**
 * Opens the connection that the functions below share. A second call while it is open gives the same one. Rejects as
 * `connect` does, and by `ClientError` `closed` when {@link closeConfig} is called first.
 */
export async function initConfig<S = Record<string, unknown>>(options: ConnectOptions<S> = {}): Promise<Config<S>> {
  if (!shared || shared.config?.closed.aborted) shared = openShared(options as ConnectOptions<unknown>);
  const mine = shared;
  try {
    mine.config = await mine.opening;
  } catch (error) {
    if (shared !== mine) throw closedFirst();
    shared = undefined;
    throw error;
  }
  if (shared !== mine) throw closedFirst();
  return mine.config as unknown as Config<S>;
}

function openShared(options: ConnectOptions<unknown>): Shared {
  const stop = new AbortController();
  const abort = () => stop.abort();
  if (options.signal?.aborted) abort();
  options.signal?.addEventListener('abort', abort, { once: true, signal: stop.signal });
  const opening = openConfig<unknown>({ ...options, signal: stop.signal });
  // Removes the listener from the caller's signal when the attempt has failed or the config is closed.
  opening.then(({ closed }) => closed.addEventListener('abort', abort, { once: true }), abort);
  return { opening, stop };
}

function closedFirst(): ClientError {
  return new ClientError('closed', 'closeConfig() was called before the connection was open');
}

/** The newest accepted settings. Throws `ClientError` `usage` before {@link initConfig} has resolved. */
export function getConfig<S = Record<string, unknown>>(): DeepReadonly<S> {
  return sharedConfig().settings as DeepReadonly<S>;
}

export function reloadConfig(options?: { readonly reason?: string }): Promise<ReloadResult> {
  return sharedConfig().reload(options);
}

export function validateConfiguration(): Promise<ValidationResult> {
  return sharedConfig().validate();
}

export function getConfigSummary(): Promise<Summary> {
  return sharedConfig().summary();
}

/** Whether {@link rotateSecret} is possible here; needs the view's `mayRotate`. */
export function supportsRotation(): boolean {
  return sharedConfig().supportsRotation;
}

/** Replaces a secret everywhere, or takes the new value back when it is rejected; see `Config.rotateSecret`. */
export function rotateSecret(name: string, value: string | Uint8Array): Promise<RotationResult> {
  return sharedConfig().rotateSecret(name, value);
}

/** Closes the shared connection, or ends the attempt to open it; {@link initConfig} may then be called again. */
export async function closeConfig(): Promise<void> {
  const closing = shared;
  shared = undefined;
  closing?.stop.abort();
  await (await closing?.opening.catch(() => undefined))?.close();
}

function sharedConfig(): Config<unknown> {
  if (!shared?.config) throw new ClientError('usage', 'call initConfig() and await it first');
  return shared.config;
}
