import type { RotationResult } from '../schemas/wire.ts';
import { connect } from './connect.ts';
import { ClientError } from './errors.ts';
import type { Config, ConnectOptions, DeepReadonly, ReloadResult, Summary, ValidationResult } from './types.ts';

let shared: { readonly opening: Promise<Config<unknown>>; config?: Config<unknown> } | undefined;

/** Opens the connection that the functions below share. A second call while it is open gives the same one. */
export async function initConfig<S = Record<string, unknown>>(options: ConnectOptions<S> = {}): Promise<Config<S>> {
  if (!shared) {
    const opening = { opening: connect<S>(options) as Promise<Config<unknown>> } as {
      opening: Promise<Config<unknown>>;
      config?: Config<unknown>;
    };
    shared = opening;
    try {
      opening.config = await opening.opening;
    } catch (error) {
      if (shared === opening) shared = undefined;
      throw error;
    }
  }
  return (await shared.opening) as Config<S>;
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

/** Closes the shared connection; {@link initConfig} may then be called again. */
export async function closeConfig(): Promise<void> {
  const closing = shared;
  shared = undefined;
  await (await closing?.opening.catch(() => undefined))?.close();
}

function sharedConfig(): Config<unknown> {
  if (!shared?.config) throw new ClientError('usage', 'call initConfig() and await it first');
  return shared.config;
}
