import { isObject, type JsonObject, type JsonValue } from '../../schemas/json.ts';
import type { Path } from '../../schemas/paths.ts';
import { PathPatterns, type PatternState } from './path-patterns.ts';

const nothing: JsonObject = Object.freeze({});

/** Below what is seen whole. */
const whole: PatternState = { positions: [], key: 'whole', isMatch: true, isWhole: true };

type Tree = JsonObject | readonly JsonValue[];

/**
 * The part of settings that a group of programs may see. `include` names what is in: a pattern that ends in a name or in
 * `**` takes everything below with it, one that ends in `*` takes values and lists, but no objects. `exclude` takes out
 * what it matches with everything below, and always wins.
 *
 * Both reach into lists, where an index counts as a key: `replicas.*.password` is the password in each item. An item, an
 * object or a list of which nothing is left is left out; the items behind it move up.
 *
 * Filtering shares what is seen whole, and does again only what changed.
 */
export class ViewFilter {
  /** Everything is seen. */
  readonly isAll: boolean;
  readonly #include: PathPatterns;
  readonly #exclude: PathPatterns;
  readonly #done = new Map<string, WeakMap<Tree, { readonly seen: Tree | undefined }>>();

  /** Throws a `RangeError` for what is no pattern. */
  constructor(include: readonly string[], exclude: readonly string[]) {
    this.#include = new PathPatterns(include);
    this.#exclude = new PathPatterns(exclude);
    this.isAll = include.includes('**') && exclude.length === 0;
  }

  /** What is seen of frozen settings; frozen. */
  apply(settings: JsonObject): JsonObject {
    if (this.isAll) return settings;
    return (this.#tree(settings, this.#include.start, this.#exclude.start) as JsonObject | undefined) ?? nothing;
  }

  /** Whether a value at this path is seen. */
  sees(path: Path): boolean {
    if (this.isAll) return true;
    if (this.#exclude.covers(path)) return false;
    let state = this.#include.start;
    for (const key of path) {
      if (state.isWhole) return true;
      state = this.#include.step(state, key);
    }
    return state.isMatch;
  }

  /** Whether everything is seen that may stand at or below this path, whatever it is. */
  seesAll(path: Path): boolean {
    let include = this.#include.start;
    let exclude = this.#exclude.start;
    for (const key of path) {
      if (!include.isWhole) include = this.#include.step(include, key);
      exclude = this.#exclude.step(exclude, key);
      if (exclude.isMatch) return false;
    }
    return include.isWhole && exclude.positions.length === 0;
  }

  #value(value: JsonValue, include: PatternState, exclude: PatternState): JsonValue | undefined {
    if (exclude.isMatch) return undefined;
    if (!isTree(value) || Object.keys(value).length === 0) return include.isMatch ? value : undefined;
    // A pattern that ends in `*` takes a list with all that is in it.
    return this.#tree(value, Array.isArray(value) && include.isMatch ? whole : include, exclude);
  }

  #tree(node: Tree, include: PatternState, exclude: PatternState): Tree | undefined {
    if (include.isWhole && exclude.positions.length === 0) return node;
    if (!include.isWhole && include.positions.length === 0) return undefined;
    const key = `${include.isWhole} ${include.key} ${exclude.key}`;
    const done = this.#done.get(key) ?? new WeakMap();
    this.#done.set(key, done);
    let known = done.get(node);
    if (!known) {
      known = { seen: this.#reduced(node, include, exclude) };
      done.set(node, known);
    }
    return known.seen;
  }

  #reduced(node: Tree, include: PatternState, exclude: PatternState): Tree | undefined {
    const all = Object.entries(node) as [string, JsonValue][];
    const seen = all.flatMap(([key, value]): [string, JsonValue][] => {
      const next = include.isWhole ? include : this.#include.step(include, key);
      const part = this.#value(value, next, this.#exclude.step(exclude, key));
      return part === undefined ? [] : [[key, part]];
    });
    if (seen.length === 0) return undefined;
    if (seen.length === all.length && seen.every(([, part], i) => part === all[i]![1])) return node;
    return Object.freeze(Array.isArray(node) ? seen.map(([, part]) => part) : Object.fromEntries(seen));
  }
}

function isTree(value: JsonValue): value is Tree {
  return isObject(value) || Array.isArray(value);
}
