import { convert, pathOfName, type ScalarType } from '../schemas/environment.ts';
import { forbiddenKeys, isObject, type JsonObject, type JsonValue } from '../schemas/json.ts';
import { formatPath, type Path, valueAt } from '../schemas/paths.ts';
import { ClientError } from './errors.ts';

/**
 * Lays the process's own environment over settings. Text is converted to the type of the value that it covers, where
 * that is a number or a boolean; the schema stays with the daemon. Throws `env_not_convertible`.
 */
export function overlayEnvironment(settings: JsonObject, prefix: string, env: NodeJS.ProcessEnv): JsonObject {
  let result = settings;
  for (const [name, text] of Object.entries(env)) {
    const path = name.startsWith(prefix) ? pathOfName(name.slice(prefix.length)) : undefined;
    if (!path || text === undefined || path.some((segment) => forbiddenKeys.has(segment))) continue;
    result = put(result, path, converted(name, text, path, valueAt(settings, path)));
  }
  return result;
}

function converted(name: string, text: string, path: Path, covered: JsonValue | undefined): JsonValue {
  const type = typeof covered;
  if (type !== 'number' && type !== 'boolean') return text;
  const value = convert(text, type as ScalarType);
  if (value !== undefined) return value;
  throw new ClientError(
    'env_not_convertible',
    `${name} covers ${formatPath(path)}, which is a ${type}, and does not convert to one`,
  );
}

function put(node: JsonObject, [key, ...rest]: Path, value: JsonValue): JsonObject {
  const child = node[key!];
  return { ...node, [key!]: rest.length === 0 ? value : put(isObject(child) ? child : {}, rest, value) };
}
