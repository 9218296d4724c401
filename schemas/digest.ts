import { isObject, type JsonObject, type JsonValue } from './json.ts';

/**
 * The digest of settings, for "do you have what I have" between daemon and program. It is built per subtree, so that
 * after a change only the changed parts and the objects above them are computed again.
 *
 * ```
 * digest(object)  = sum over its entries of entry(key, value), modulo 2^128, as 32 hexadecimal digits
 * entry(key, v)   = first 128 bits, big-endian, of SHA-256("<key as JSON>:<body>")
 * body            = "{<digest of the object>}" for an object, else its JSON text with the keys of inner objects sorted
 * ```
 *
 * A sum does not care for order and can be changed by one entry (an incremental multiset hash: Bellare and Micciancio,
 * "A New Paradigm for Collision-Free Hashing", EUROCRYPT 1997). It finds accidents between a daemon and its own
 * clients; it is no signature.
 */
export class Digester {
  readonly #sums = new WeakMap<JsonObject, bigint>();

  /** The digest of frozen settings. With `base`, whose digest is known, only what differs from it is computed. */
  digest(settings: JsonObject, base?: JsonObject): string {
    return this.#sum(settings, base).toString(16).padStart(32, '0');
  }

  #sum(node: JsonObject, base: JsonValue | undefined): bigint {
    const known = this.#sums.get(node);
    if (known !== undefined) return known;
    const start = isObject(base) ? this.#sums.get(base) : undefined;
    const sum = start === undefined ? this.#sumOfAll(node) : this.#sumFrom(start, node, base as JsonObject);
    this.#sums.set(node, sum);
    return sum;
  }

  #sumOfAll(node: JsonObject): bigint {
    let sum = 0n;
    for (const key in node) sum += this.#entry(key, node[key]!, undefined);
    return BigInt.asUintN(128, sum);
  }

  #sumFrom(start: bigint, node: JsonObject, base: JsonObject): bigint {
    let sum = start;
    for (const key in node) {
      const before = Object.hasOwn(base, key) ? base[key] : undefined;
      if (before === node[key]) continue;
      if (before !== undefined) sum -= this.#entry(key, before, undefined);
      sum += this.#entry(key, node[key]!, before);
    }
    for (const key in base) if (!Object.hasOwn(node, key)) sum -= this.#entry(key, base[key]!, undefined);
    return BigInt.asUintN(128, sum);
  }

  #entry(key: string, value: JsonValue, before: JsonValue | undefined): bigint {
    const body = isObject(value) ? `{${this.#sum(value, before).toString(16).padStart(32, '0')}}` : sortedJson(value);
    return BigInt(`0x${sha256(`${JSON.stringify(key)}:${body}`).slice(0, 32)}`);
  }
}

// Loaded at the first use: a program that never gets a patch never pays for it.
let crypto: typeof import('node:crypto') | undefined;

function sha256(text: string): string {
  crypto ??= process.getBuiltinModule('node:crypto');
  return crypto.hash('sha256', text, 'hex');
}

function sortedJson(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map(sortedJson).join(',')}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${sortedJson(value[key]!)}`).join(',')}}`;
}
