import { isObject, type JsonValue } from '../schemas/json.ts';

/** Why this program does not take a snapshot, as the daemon is told. */
export class Rejection extends Error {
  readonly code: string;
  readonly paths: readonly string[];

  constructor(
    code: 'verify_failed' | 'verify_timeout' | 'base_missing' | 'handler_failed' | 'env_not_convertible',
    paths: readonly string[],
    cause: unknown,
    settings: JsonValue,
  ) {
    super(withoutValues(cause instanceof Error ? cause.message : String(cause), settings), { cause });
    this.code = code;
    this.paths = paths;
  }
}

/**
 * Replaces every text of the settings in a message by `[redacted]`, because errors of databases and the like quote their
 * input. Overlapping texts are replaced together, so that no part of a value stays.
 */
export function withoutValues(message: string, settings: JsonValue): string {
  const hidden = new Uint8Array(message.length);
  for (const text of textsIn(settings, new Set()))
    for (let at = message.indexOf(text); at !== -1; at = message.indexOf(text, at + 1))
      hidden.fill(1, at, at + text.length);
  if (!hidden.includes(1)) return message;
  let shown = '';
  for (let at = 0; at < message.length; at++)
    if (!hidden[at]) shown += message[at];
    else if (!hidden[at - 1]) shown += '[redacted]';
  return shown;
}

/** Shorter texts occur in most messages; replacing them would make those unreadable. */
const shortest = 4;

function textsIn(value: JsonValue, found: Set<string>): Set<string> {
  if (typeof value === 'string' && value.length >= shortest) found.add(value);
  else if (Array.isArray(value) || isObject(value)) for (const item of Object.values(value)) textsIn(item, found);
  return found;
}
