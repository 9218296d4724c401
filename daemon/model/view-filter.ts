import { isObject, type JsonObject, type JsonValue } from '../../schemas/json.ts';
import type { Path } from '../../schemas/paths.ts';
import { PathPatterns, type PatternState } from './path-patterns.ts';

const nothing: JsonObject = Object.freeze({});

/**
 * The part of settings that a group of programs may see. `include` names what is in: a pattern that ends in a name or in
 * `**` takes everything below with it, one that ends in `*` takes values and lists, but no objects. `exclude` takes out
 * what it matches with everything below, and always wins.
 *
 * Filtering shares what is seen whole, and does again only what changed.
 */
export class ViewFilter {
  /** Everything is seen. */
  readonly isAll: boolean;
  readonly #include: PathPatterns;
  readonly #exclude: PathPatterns;
  readonly #done = new Map<string, WeakMap<JsonObject, { readonly seen: JsonObject | undefined }>>();

  /** Throws a `RangeError` for what is no pattern. */
  constructor(include: readonly string[], exclude: readonly string[]) {
    this.#include = new PathPatterns(include);
    this.#exclude = new PathPatterns(exclude);
    this.isAll = include.includes('**') && exclude.length === 0;
  }

  /** What is seen of frozen settings; frozen. */
  apply(settings: JsonObject): JsonObject {
    if (this.isAll) return settings;
    return this.#object(settings, this.#include.start, this.#exclude.start) ?? nothing;
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

  #value(value: JsonValue, include: PatternState, exclude: PatternState): JsonValue | undefined {
    if (exclude.isMatch) return undefined;
    if (isObject(value) && Object.keys(value).length > 0) return this.#object(value, include, exclude);
    return include.isMatch ? value : undefined;
  }

  #object(node: JsonObject, include: PatternState, exclude: PatternState): JsonObject | undefined {
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

  #reduced(node: JsonObject, include: PatternState, exclude: PatternState): JsonObject | undefined {
    const seen: Record<string, JsonValue> = {};
    let isSame = true;
    for (const key in node) {
      const value = node[key]!;
      const next = include.isWhole ? include : this.#include.step(include, key);
      const part = this.#value(value, next, this.#exclude.step(exclude, key));
      if (part !== undefined) seen[key] = part;
      if (part !== value) isSame = false;
    }
    if (isSame) return node;
    return Object.keys(seen).length > 0 ? Object.freeze(seen) : undefined;
  }
}
