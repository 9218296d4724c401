import { isObject, type JsonValue } from '../schemas/json.ts';
import { formatPath, type Path } from '../schemas/paths.ts';
import { ClientError } from './errors.ts';

/** The daemon's own limit. */
const maxDepth = 64;

/**
 * A copy of settings as a daemon could serve them: plain JSON, without what is `undefined`. Throws `ClientError` `usage`
 * for anything else, such as a `Date`, with its path.
 */
export function toJson(value: unknown, path: Path = []): JsonValue {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  if (path.length > maxDepth) throw unservable(path.slice(0, 3), 'is nested too deeply, or in itself');
  if (Array.isArray(value)) return value.map((item, i) => toJson(item, [...path, String(i)]));
  if (!isObject(value) || Object.prototype.toString.call(value) !== '[object Object]')
    throw unservable(path, 'is neither an object, a list, a text, a number nor a boolean');
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(entries.map(([key, inner]) => [key, toJson(inner, [...path, key])]));
}

function unservable(path: Path, what: string): ClientError {
  return new ClientError(
    'usage',
    `${formatPath(path) || 'the root of the settings'} ${what}, so no daemon can serve it`,
  );
}
