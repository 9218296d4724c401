import { isObject, type JsonObject, type JsonValue } from '../../schemas/json.ts';

/**
 * Merges frozen trees, lowest priority first: objects deeply, arrays and scalars replace. The result is frozen and
 * shares every subtree that needed no merging. Merging the same trees again gives the same object, so that whoever
 * compares two results can skip what did not change.
 */
export class Merger {
  readonly #last = new WeakMap<JsonObject, { readonly inputs: readonly JsonObject[]; readonly result: JsonObject }>();

  merge(trees: readonly JsonObject[]): JsonObject {
    const top = trees.at(-1);
    if (!top) return Object.freeze({});
    if (trees.length === 1) return top;
    const last = this.#last.get(top);
    if (last && last.inputs.length === trees.length && last.inputs.every((tree, i) => tree === trees[i]))
      return last.result;
    const result = this.#combine(trees);
    this.#last.set(top, { inputs: trees, result });
    return result;
  }

  #combine(trees: readonly JsonObject[]): JsonObject {
    const found = new Map<string, JsonValue | Stack>();
    for (const tree of trees) {
      for (const key in tree) {
        const value = tree[key]!;
        const below = found.get(key);
        if (!isObject(value)) found.set(key, value);
        else if (below instanceof Stack) below.trees.push(value);
        else found.set(key, new Stack(value));
      }
    }
    const merged: Record<string, JsonValue> = {};
    for (const [key, value] of found) merged[key] = value instanceof Stack ? this.merge(value.trees) : value;
    return Object.freeze(merged);
  }
}

/** Objects at one place, lowest priority first. */
class Stack {
  readonly trees: JsonObject[];

  constructor(first: JsonObject) {
    this.trees = [first];
  }
}
