import { convert, pathOfName } from '../../schemas/environment.ts';
import { forbiddenKeys, isObject, type JsonObject, type JsonValue } from '../../schemas/json.ts';
import { formatPath, type Path } from '../../schemas/paths.ts';
import type { AppSchema } from '../model/app-schema.ts';
import { DaemonError } from '../model/errors.ts';
import { tooDeep } from './parse-rules.ts';

export interface EnvNaming {
  /** Names must start with it; it is taken off. */
  readonly prefix?: string;
  /** Names that do not follow the rule. */
  readonly map?: Readonly<Record<string, Path>>;
  /** Where given, text is converted to the number or boolean that the schema wants. */
  readonly schema?: AppSchema;
}

/** Variables as settings, nested at most `depth` deep. Names that the naming does not cover are passed over. */
export function settingsOfEnv(
  variables: Readonly<Record<string, string | undefined>>,
  naming: EnvNaming,
  subject: string,
  depth = 64,
): JsonObject {
  const settings: Writable = {};
  for (const [name, text] of Object.entries(variables)) {
    const path = text === undefined ? undefined : pathFor(name, naming, subject);
    if (path && path.length > depth) throw tooDeep({ subject, depth }, path);
    if (path) put(settings, path, valueFor(name, text!, path, naming, subject), `${subject}: ${name}`);
  }
  return settings;
}

type Writable = { [key: string]: JsonValue };

function pathFor(name: string, { prefix, map = {} }: EnvNaming, subject: string): Path | undefined {
  if (Object.hasOwn(map, name)) return map[name];
  if (prefix && !name.startsWith(prefix)) return undefined;
  const path = pathOfName(name.slice(prefix?.length ?? 0));
  if (!path)
    throw new DaemonError('source_malformed', `${name} stands for no path`, {
      subject,
      mend: 'write it like APP_DATABASE__URL',
    });
  return path;
}

function valueFor(name: string, text: string, path: Path, { schema }: EnvNaming, subject: string): JsonValue {
  const types = schema?.scalarTypes(path) ?? [];
  if (types.length === 0 || schema?.listsText(path, text)) return text;
  const value = types.map((type) => convert(text, type)).find((converted) => converted !== undefined);
  if (value !== undefined) return value;
  const wanted = types.join(' or ');
  const range = types[0] === 'boolean' ? 'true or false' : `a ${wanted} from -9007199254740991 to 9007199254740991`;
  throw new DaemonError('source_not_convertible', `${name} is not a ${wanted}`, {
    subject,
    path: formatPath(path),
    mend: `the schema wants ${range}`,
  });
}

function put(settings: Writable, path: Path, value: JsonValue, subject: string): void {
  let node = settings;
  for (const segment of path.slice(0, -1)) {
    if (!Object.hasOwn(node, segment)) node[segment] = {};
    if (!isObject(node[segment])) throw conflict(path, subject);
    node = node[segment] as Writable;
  }
  const key = path.at(-1)!;
  if (path.some((segment) => forbiddenKeys.has(segment)))
    throw new DaemonError('source_forbidden_key', 'names a forbidden key', { subject, mend: 'use another name' });
  if (Object.hasOwn(node, key)) throw conflict(path, subject);
  node[key] = value;
}

function conflict(path: Path, subject: string): DaemonError {
  const what = 'another variable stands for this path, or for a part of it';
  return new DaemonError('source_conflict', what, { subject, path: formatPath(path), mend: 'take one of them out' });
}
