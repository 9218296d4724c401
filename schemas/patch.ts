import { deepFreeze, forbiddenKeys, isEqual, isObject, type JsonObject, type JsonValue } from './json.ts';
import { formatPath, keysWithin, type Path, pathsThrough } from './paths.ts';

/**
 * What turns one snapshot into the next: the operations `add` (which also replaces) and `remove` of JSON Patch
 * (RFC 6902) with JSON Pointers (RFC 6901). Arrays are replaced whole.
 */
export type Operation =
  | { readonly op: 'add'; readonly path: string; readonly value: JsonValue }
  | { readonly op: 'remove'; readonly path: string };

/** The difference of two settings: how to get there, and which leaves it touches. */
export interface Difference {
  readonly operations: readonly Operation[];
  /** Leaves whose value is new or different. */
  readonly changed: readonly Path[];
  /** Leaves that are gone. */
  readonly removed: readonly Path[];
}

/**
 * Compares two frozen settings. Shared subtrees are skipped, so the cost is that of what changed; with `within`, where
 * all that differs is known to lie at or below these paths, nothing else is even looked at.
 */
export function compare(before: JsonObject, after: JsonObject, within?: readonly Path[]): Difference {
  const found = new Found();
  compareObjects(before, after, [], found, within);
  return found;
}

/** Most who compare want the leaves alone, so that the operations are made only for those who ask. */
class Found implements Difference {
  readonly edits: { readonly path: Path; readonly value?: JsonValue }[] = [];
  readonly changed: Path[] = [];
  readonly removed: Path[] = [];

  get operations(): readonly Operation[] {
    return this.edits.map(({ path, value }) =>
      value === undefined ? { op: 'remove', path: toPointer(path) } : { op: 'add', path: toPointer(path), value },
    );
  }
}

function compareObjects(before: JsonObject, after: JsonObject, at: Path, found: Found, within?: readonly Path[]): void {
  const keys = keysWithin(after, at.length, within);
  let kept = 0;
  for (const key of keys) {
    const was = Object.hasOwn(before, key) ? before[key] : undefined;
    const is = Object.hasOwn(after, key) ? after[key] : undefined;
    if (was !== undefined && is !== undefined) kept++;
    if (was === is) continue;
    const path = [...at, key];
    if (is === undefined) remove(was!, path, found);
    else if (isObject(was) && isObject(is)) compareObjects(was, is, path, found, pathsThrough(key, at.length, within));
    else if (!isEqual(was, is)) replace(was, is, path, found);
  }
  if (within) return;
  const keysBefore = Object.keys(before);
  if (keysBefore.length === kept) return;
  for (const key of keysBefore) if (!Object.hasOwn(after, key)) remove(before[key]!, [...at, key], found);
}

function replace(was: JsonValue | undefined, is: JsonValue, path: Path, found: Found): void {
  found.edits.push({ path, value: is });
  found.changed.push(...leavesOf(is, path));
  // An object that became a scalar takes its leaves with it; the path itself is already told as changed.
  if (isObject(was) && Object.keys(was).length > 0) found.removed.push(...leavesOf(was, path));
}

function remove(was: JsonValue, path: Path, found: Found): void {
  found.edits.push({ path });
  found.removed.push(...leavesOf(was, path));
}

/** The paths of a tree's leaves. An array is a leaf, and so is an object without keys. */
export function leavesOf(value: JsonValue, at: Path = []): Path[] {
  if (!isObject(value)) return [at];
  const keys = Object.keys(value);
  return keys.length === 0 ? [at] : keys.flatMap((key) => leavesOf(value[key]!, [...at, key]));
}

/**
 * The settings after the operations, frozen, sharing every untouched subtree with `base`; `undefined` when they do not
 * fit it exactly: a parent that is not there, a key to remove that is not there, a key that no source may use.
 */
export function applyPatch(
  base: JsonObject,
  operations: readonly Operation[],
  paths: readonly (Path | undefined)[] = operations.map(({ path }) => fromPointer(path)),
): JsonObject | undefined {
  let root: JsonObject | undefined = base;
  // Objects copied by this call: each is copied once however many operations touch it.
  const own = new Set<JsonObject>();
  for (const [i, operation] of operations.entries()) root = root && applyOne(root, operation, paths[i], own);
  for (const node of own) Object.freeze(node);
  return root;
}

function applyOne(
  base: JsonObject,
  operation: Operation,
  path: Path | undefined,
  own: Set<JsonObject>,
): JsonObject | undefined {
  const key = path?.at(-1);
  if (!path || key === undefined || path.some((segment) => forbiddenKeys.has(segment))) return undefined;
  const root = writable(base, own);
  let node = root;
  for (const segment of path.slice(0, -1)) {
    const child = Object.hasOwn(node, segment) ? node[segment] : undefined;
    if (!isObject(child)) return undefined;
    node[segment] = writable(child, own);
    node = node[segment] as Writable;
  }
  if (operation.op === 'add') node[key] = deepFreeze(operation.value);
  else if (Object.hasOwn(node, key)) delete node[key];
  else return undefined;
  return root;
}

type Writable = { [key: string]: JsonValue };

function writable(node: JsonObject, own: Set<JsonObject>): Writable {
  if (own.has(node)) return node as Writable;
  const copy = { ...node };
  own.add(copy);
  return copy;
}

/** RFC 6901: `~` is `~0` and `/` is `~1`. */
export function toPointer(path: Path): string {
  return path.map((segment) => `/${segment.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** The inverse of {@link toPointer}; `undefined` for a text that is no pointer. */
export function fromPointer(pointer: string): Path | undefined {
  if (pointer === '') return [];
  if (!pointer.startsWith('/')) return undefined;
  const path = pointer.slice(1).split('/');
  return pointer.includes('~') ? path.map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~')) : path;
}

/** Paths as they are shown and sent. */
export function formatPaths(paths: readonly Path[]): string[] {
  return paths.map(formatPath);
}
