import { isObject, type JsonObject, type JsonValue } from './json.ts';
import { keysWithin, type Path, pathsThrough } from './paths.ts';

/** Two 32-bit halves, each summed on its own. */
export interface Sum {
  readonly high: number;
  readonly low: number;
}

/**
 * The digest of settings, for "do you have what I have" between daemon and program. It is built per subtree, so that
 * after a change only the changed parts and the objects above them are computed again.
 *
 * ```
 * digest(object)  = sum over its entries of entry(key, value), each 32-bit half modulo 2^32, as 16 hexadecimal digits
 * entry(key, v)   = MurmurHash3_x86_32 of "<key as JSON>:<body>" in UTF-8, with seed 0 (high half) and seed 1 (low half)
 * body            = "{<digest of the object>}" for an object, else its JSON text with the keys of inner objects sorted
 * ```
 *
 * A sum does not care for order and can be changed by one entry, as in an incremental multiset hash (Bellare and
 * Micciancio, "A New Paradigm for Collision-Free Hashing", EUROCRYPT 1997). It finds accidents between a daemon and its
 * own clients, one in 2^64 excepted; it is no signature and keeps no secret.
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
  return murmur3(`${JSON.stringify(key)}:${sortedJson(value)}`, 0, 1);
}

/** What a key with an object of this sum adds to the sum of its own. */
export function objectEntry(key: string, sum: Sum): Sum {
  return murmur3(`${JSON.stringify(key)}:{${toHex(sum)}}`, 0, 1);
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
 * MurmurHash3_x86_32 of a text's UTF-8 bytes under two seeds at once (Austin Appleby, public domain: SMHasher,
 * MurmurHash3.cpp).
 */
export function murmur3(text: string, highSeed: number, lowSeed: number): Sum {
  return hashBytes(text, highSeed, lowSeed) ?? hashBytes(bytesOf(text), highSeed, lowSeed, true)!;
}

/** One byte a character, or nothing when a character turns out to need more. */
function hashBytes(text: string, highSeed: number, lowSeed: number, isBytes = false): Sum | undefined {
  let high = highSeed;
  let low = lowSeed;
  let seen = 0;
  const blocks = text.length & ~3;
  for (let i = 0; i < blocks; i += 4) {
    const a = text.charCodeAt(i);
    const b = text.charCodeAt(i + 1);
    const c = text.charCodeAt(i + 2);
    const d = text.charCodeAt(i + 3);
    seen |= a | b | c | d;
    const block = mixBlock(a | (b << 8) | (c << 16) | (d << 24));
    high = mixState(high ^ block);
    low = mixState(low ^ block);
  }
  let tail = 0;
  for (let i = text.length - 1; i >= blocks; i--) {
    seen |= text.charCodeAt(i);
    tail = (tail << 8) | text.charCodeAt(i);
  }
  if (seen > 0x7f && !isBytes) return undefined;
  const rest = mixBlock(tail);
  return { high: finish(high ^ rest ^ text.length), low: finish(low ^ rest ^ text.length) };
}

function mixState(hash: number): number {
  return (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
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
