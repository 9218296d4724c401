import { leafEntry, objectEntry, type Sum, toHex } from './digest.ts';
import { isObject, type JsonObject, type JsonValue } from './json.ts';
import { keysWithin, type Path, pathsThrough } from './paths.ts';

/**
 * The digest of settings that change step by step, as a receiver of patches has them. It keeps the sum of each object, so
 * that a step costs what changed and nothing is looked up.
 */
export class RunningDigest {
  #of: JsonObject | undefined;
  #sums = new ObjectSum();

  /**
   * The digest of `settings`, which differ from `base` only at or below these paths. Steps that follow one another are
   * cheap; any other base is summed anew.
   */
  step(base: JsonObject, settings: JsonObject, within: readonly Path[]): string {
    if (this.#of !== base) this.#sums = ObjectSum.of(base);
    this.#sums.change(base, settings, 0, within);
    this.#of = settings;
    return toHex(this.#sums);
  }
}

/** An object's sum, and those of the objects in it. */
class ObjectSum implements Sum {
  high = 0;
  low = 0;
  readonly #inner = new Map<string, { readonly sum: ObjectSum; entry: Sum }>();

  static of(node: JsonObject): ObjectSum {
    const sum = new ObjectSum();
    for (const key in node) sum.#put(key, node[key]!);
    return sum;
  }

  change(before: JsonObject, after: JsonObject, depth: number, within: readonly Path[] | undefined): void {
    for (const key of keysWithin(after, depth, within)) {
      const was = Object.hasOwn(before, key) ? before[key] : undefined;
      const is = Object.hasOwn(after, key) ? after[key] : undefined;
      if (was === is) continue;
      if (isObject(was) && isObject(is)) this.#changeInner(key, was, is, depth, within);
      else {
        if (was !== undefined) this.#take(key, was);
        if (is !== undefined) this.#put(key, is);
      }
    }
    if (!within) for (const key in before) if (!Object.hasOwn(after, key)) this.#take(key, before[key]!);
  }

  #changeInner(key: string, was: JsonObject, is: JsonObject, depth: number, within: readonly Path[] | undefined): void {
    const inner = this.#inner.get(key)!;
    inner.sum.change(was, is, depth + 1, pathsThrough(key, depth, within));
    this.#add(inner.entry, -1);
    inner.entry = objectEntry(key, inner.sum);
    this.#add(inner.entry, 1);
  }

  #put(key: string, value: JsonValue): void {
    if (!isObject(value)) return this.#add(leafEntry(key, value), 1);
    const sum = ObjectSum.of(value);
    const entry = objectEntry(key, sum);
    this.#inner.set(key, { sum, entry });
    this.#add(entry, 1);
  }

  #take(key: string, value: JsonValue): void {
    this.#add(this.#inner.get(key)?.entry ?? leafEntry(key, value), -1);
    this.#inner.delete(key);
  }

  #add({ high, low }: Sum, sign: 1 | -1): void {
    this.high = (this.high + sign * high) >>> 0;
    this.low = (this.low + sign * low) >>> 0;
  }
}
