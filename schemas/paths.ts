import { isObject, type JsonObject, type JsonValue } from './json.ts';

/** The keys from the root of the settings to one value. */
export type Path = readonly string[];

const plainSegment = /^[^.[\]"\s]+$/;

/** `['database', 'url']` is `database.url`; a key that holds a dot, a bracket, a quote or a space is `["so.written"]`. */
export function formatPath(path: Path): string {
  let text = '';
  for (const segment of path) {
    if (!plainSegment.test(segment)) text += `[${JSON.stringify(segment)}]`;
    else text += text === '' ? segment : `.${segment}`;
  }
  return text;
}

/** The inverse of {@link formatPath}; `undefined` for a text that is no path. The empty text is the root. */
export function parsePath(text: string): Path | undefined {
  if (text.startsWith('.')) return undefined;
  const path: string[] = [];
  const part = /(?:^|\.)([^.[\]"\s]+)|\[("(?:[^"\\]|\\.)*")\]/y;
  while (part.lastIndex < text.length) {
    const match = part.exec(text);
    if (!match) return undefined;
    if (match[1] !== undefined) path.push(match[1]);
    else {
      try {
        path.push(JSON.parse(match[2]!));
      } catch {
        return undefined;
      }
    }
  }
  return path;
}

/** The value at a path, or `undefined`. Never reads what an object inherits. */
export function valueAt(root: JsonValue | undefined, path: Path): JsonValue | undefined {
  let value: JsonValue | undefined = root;
  for (const segment of path) {
    if (!isObject(value) || !Object.hasOwn(value, segment)) return undefined;
    value = value[segment];
  }
  return value;
}

/** A value put at a path: `nest(['a', 'b'], 1)` is `{ a: { b: 1 } }`. */
export function nest(path: Path, value: JsonValue): JsonValue {
  return path.reduceRight<JsonValue>((inner, segment) => ({ [segment]: inner }), value);
}

/** True when one of the two paths leads to or through the other. */
export function overlap(a: Path, b: Path): boolean {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** The keys to look at in a node at some depth: all, or the next segments of the paths that lead through it. */
export function keysWithin(node: JsonObject, depth: number, within: readonly Path[] | undefined): Iterable<string> {
  // A path that ends above stands for everything below it.
  if (!within || within.some((path) => path.length <= depth)) return Object.keys(node);
  return within.length === 1 ? [within[0]![depth]!] : new Set(within.map((path) => path[depth]!));
}

/** The paths that go on through a key, for the node below it. */
export function pathsThrough(
  key: string,
  depth: number,
  within: readonly Path[] | undefined,
): readonly Path[] | undefined {
  const through = within?.filter((path) => path[depth] === key);
  return through?.some((path) => path.length <= depth + 1) ? undefined : through;
}
