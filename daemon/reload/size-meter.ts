import { isObject } from '../../schemas/json.ts';

/** Bytes of settings as JSON, counting each unchanged subtree once in its life. */
export class SizeMeter {
  readonly #sizes = new WeakMap<object, number>();

  measure(value: unknown): number {
    if (!isObject(value)) return Buffer.byteLength(JSON.stringify(value));
    let size = this.#sizes.get(value);
    if (size !== undefined) return size;
    size = 2;
    for (const key in value) size += Buffer.byteLength(JSON.stringify(key)) + 2 + this.measure(value[key]);
    this.#sizes.set(value, size);
    return size;
  }
}
