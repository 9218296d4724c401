import { isObject, type JsonObject, type JsonValue } from './json.ts';
import { keysWithin, type Path, pathsThrough } from './paths.ts';

/** Two 32-bit halves, each summed on its own. */
export interface Sum {
  readonly high: number;
  readonly low: number;
}

/**
 * The digest of settings, which daemon and program compare to see whether they have the same ones. It is built per subtree,
 * so that after a change only the changed parts and the objects above them are computed again.
 *
 * ```
 * digest(object)  = sum over its entries of entry(key, value), each 32-bit half modulo 2^32, as 16 hexadecimal digits
 * entry(key, v)   = hash64 of "<key as JSON>:<body>" in UTF-8
 * body            = "{<digest of the object>}" for an object, else its JSON text with the keys of inner objects sorted
 * ```
 *
 * A sum does not depend on the order and can be changed by one entry, as in an incremental multiset hash (Bellare and
 * Micciancio, "A New Paradigm for Collision-Free Hashing", EUROCRYPT 1997). It finds accidents between a daemon and its
 * own clients: two different settings have the same digest with a chance of 2^-64. It is not a signature: somebody who
 * chooses both settings can make them collide.
 */
export class Digester {
  readonly #sums = new WeakMap<JsonObject, Sum>();

  /**
   * The digest of frozen settings. With `base`, whose digest is known, only what differs from it is computed; with
   * `within`, nothing but these paths is even compared.
   */
  digest(settings: JsonObject, base?: JsonObject, within?: readonly Path[]): string {
    return toHex(this.#sum(settings, base, 0, within));
  }

  #sum(node: JsonObject, base?: JsonValue, depth = 0, within?: readonly Path[]): Sum {
    const known = this.#sums.get(node);
    if (known) return known;
    const start = isObject(base) ? this.#sums.get(base) : undefined;
    const sum = start ? this.#sumFrom(start, node, base as JsonObject, depth, within) : this.#sumOfAll(node);
    this.#sums.set(node, sum);
    return sum;
  }

  #sumOfAll(node: JsonObject): Sum {
    let sum: Sum = { high: 0, low: 0 };
    for (const key in node) sum = add(sum, this.#entry(key, node[key]!), 1);
    return sum;
  }

  #sumFrom(start: Sum, node: JsonObject, base: JsonObject, depth: number, within?: readonly Path[]): Sum {
    let sum = start;
    const changed = (key: string) => {
      const before = Object.hasOwn(base, key) ? base[key] : undefined;
      const after = Object.hasOwn(node, key) ? node[key] : undefined;
      if (before === after) return;
      if (before !== undefined) sum = add(sum, this.#entry(key, before), -1);
      if (after !== undefined) sum = add(sum, this.#entry(key, after, before, depth, within), 1);
    };
    for (const key of keysWithin(node, depth, within)) changed(key);
    if (!within) for (const key of Object.keys(base)) if (!Object.hasOwn(node, key)) changed(key);
    return sum;
  }

  #entry(key: string, value: JsonValue, before?: JsonValue, depth = 0, within?: readonly Path[]): Sum {
    if (!isObject(value)) return leafEntry(key, value);
    return objectEntry(key, this.#sum(value, before, depth + 1, pathsThrough(key, depth, within)));
  }
}

/** What a key with a value that is no object adds to the sum of its object. */
export function leafEntry(key: string, value: JsonValue): Sum {
  return hash64(`${JSON.stringify(key)}:${sortedJson(value)}`);
}

/** What a key with an object of this sum adds to the sum of its own. */
export function objectEntry(key: string, sum: Sum): Sum {
  return hash64(`${JSON.stringify(key)}:{${toHex(sum)}}`);
}

function add(a: Sum, b: Sum, sign: 1 | -1): Sum {
  return { high: (a.high + sign * b.high) >>> 0, low: (a.low + sign * b.low) >>> 0 };
}

/** As a digest is written. */
export function toHex({ high, low }: Sum): string {
  return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0');
}

function sortedJson(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map(sortedJson).join(',')}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${sortedJson(value[key]!)}`).join(',')}}`;
}

/**
 * A hash of a text's UTF-8 bytes. All numbers are 32-bit words, `blocks` are the little-endian words of the bytes, and
 * `tail` is the word of the 0 to 3 bytes that are left.
 *
 * ```
 * h = seed, g = 0
 * for each block:  h = rotl(h ^ mix(block), 13) * 5 + 0xe6546b64
 *                  g = (rotl(g, 15) ^ h) * 0x9e3779b1
 * at the end:      h = h ^ mix(tail)
 *                  g = (rotl(g, 15) ^ h) * 0x9e3779b1
 *                  high = finish(h ^ length), low = finish(g ^ length)
 * mix(k)    = rotl(k * 0xcc9e2d51, 15) * 0x1b873593
 * finish(x) = x ^= x >>> 16, x *= 0x85ebca6b, x ^= x >>> 13, x *= 0xc2b2ae35, x ^= x >>> 16
 * ```
 *
 * `high` is MurmurHash3_x86_32 (Austin Appleby, public domain: SMHasher, MurmurHash3.cpp). Two adjacent blocks can cancel in
 * `h` whatever the seed is, so a second seed adds little. `g` is a chain of all states of `h`: where `h` differed after
 * one block and no more after the next, `g` differs from there to the end. So a difference within two adjacent blocks is
 * always found.
 */
export function hash64(text: string, seed = 0): Sum {
  return hashBytes(text, seed) ?? hashBytes(bytesOf(text), seed, true)!;
}

/** One byte a character, or nothing when a character turns out to need more. */
function hashBytes(text: string, seed: number, isBytes = false): Sum | undefined {
  let h = seed;
  let g = 0;
  let seen = 0;
  const blocks = text.length & ~3;
  for (let i = 0; i < blocks; i += 4) {
    const a = text.charCodeAt(i);
    const b = text.charCodeAt(i + 1);
    const c = text.charCodeAt(i + 2);
    const d = text.charCodeAt(i + 3);
    seen |= a | b | c | d;
    h = mixState(h ^ mixBlock(a | (b << 8) | (c << 16) | (d << 24)));
    g = chain(g, h);
  }
  let tail = 0;
  for (let i = text.length - 1; i >= blocks; i--) {
    seen |= text.charCodeAt(i);
    tail = (tail << 8) | text.charCodeAt(i);
  }
  if (seen > 0x7f && !isBytes) return undefined;
  h ^= mixBlock(tail);
  g = chain(g, h);
  return { high: finish(h ^ text.length), low: finish(g ^ text.length) };
}

function mixState(hash: number): number {
  return (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
}

function chain(hash: number, state: number): number {
  return Math.imul(((hash << 15) | (hash >>> 17)) ^ state, 0x9e3779b1);
}

function mixBlock(block: number): number {
  const mixed = Math.imul(block, 0xcc9e2d51);
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593);
}

function finish(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

function bytesOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
