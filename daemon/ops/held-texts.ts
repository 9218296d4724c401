import { isObject, type JsonObject, type JsonValue } from '../../schemas/json.ts';
import { secretTextOf } from '../../schemas/secret-texts.ts';

type Tree = JsonObject | readonly JsonValue[];

/**
 * The texts and numbers in the settings trees that are held, each counted. A tree is counted by identity, and its subtrees
 * too, so that holding the next version of a tree costs only what changed in it. A tree must not change while it is held.
 */
export class HeldTexts {
  readonly #trees = new Map<Tree, number>();
  readonly #texts = new Map<string, number>();
  // Texts that are held and not indexed, or indexed and no longer held. Holding and releasing a text cancel out here, so
  // this never has more entries than what is held now and what was held when the index was last brought up to date.
  readonly #changes = new Set<string>();
  readonly #minLength: number;

  /** Texts with fewer characters than `minLength` are passed over. */
  constructor(minLength = 0) {
    this.#minLength = minLength;
  }

  /** What is held now. */
  get texts(): Iterable<string> {
    return this.#texts.keys();
  }

  /** Holds a tree once more. */
  hold(value: JsonValue): void {
    if (isTree(value)) {
      if (count(this.#trees, value, 1) === 1) for (const child of Object.values(value)) this.hold(child);
    } else {
      const text = this.#textOf(value);
      if (text !== undefined && count(this.#texts, text, 1) === 1) this.#toggle(text);
    }
  }

  /** Ends one {@link hold} of this very tree. A tree that is not held is ignored. */
  release(value: JsonValue): void {
    if (isTree(value)) {
      if (this.#trees.has(value) && count(this.#trees, value, -1) === 0)
        for (const child of Object.values(value)) this.release(child);
    } else {
      const text = this.#textOf(value);
      if (text !== undefined && this.#texts.has(text) && count(this.#texts, text, -1) === 0) this.#toggle(text);
    }
  }

  /** What changed since the last call: each text, and whether it is held now. */
  *takeChanges(): Generator<[text: string, isHeld: boolean]> {
    for (const text of this.#changes) {
      this.#changes.delete(text);
      yield [text, this.#texts.has(text)];
    }
  }

  #textOf(value: JsonValue): string | undefined {
    const text = secretTextOf(value);
    return text !== undefined && text.length >= this.#minLength ? text : undefined;
  }

  #toggle(text: string): void {
    if (!this.#changes.delete(text)) this.#changes.add(text);
  }
}

function isTree(value: JsonValue): value is Tree {
  return isObject(value) || Array.isArray(value);
}

/** Returns the new count; at 0 the entry is removed. */
function count<Key>(counts: Map<Key, number>, key: Key, change: 1 | -1): number {
  const next = (counts.get(key) ?? 0) + change;
  if (next > 0) counts.set(key, next);
  else counts.delete(key);
  return next;
}
