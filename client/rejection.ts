import { isObject, type JsonValue } from '../schemas/json.ts';

/** Why this program does not take a snapshot, as the daemon is told. */
export class Rejection extends Error {
  readonly code: string;
  readonly paths: readonly string[];

  constructor(
    code: 'verify_failed' | 'verify_timeout' | 'handler_failed' | 'env_not_convertible',
    paths: readonly string[],
    cause: unknown,
    settings: JsonValue,
  ) {
    super(withoutValues(cause instanceof Error ? cause.message : String(cause), settings).slice(0, 1_000), { cause });
    this.code = code;
    this.paths = paths.slice(0, 100);
  }
}

/** Errors of databases and the like quote what they were given; no value may leave the program that way. */
export function withoutValues(message: string, settings: JsonValue): string {
  if (typeof settings === 'string') return settings.length >= 4 ? message.replaceAll(settings, '[redacted]') : message;
  if (Array.isArray(settings)) return settings.reduce((text: string, item) => withoutValues(text, item), message);
  if (!isObject(settings)) return message;
  return Object.values(settings).reduce((text: string, item) => withoutValues(text, item), message);
}
