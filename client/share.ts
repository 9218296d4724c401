import { isEqual, isObject, type JsonObject, type JsonValue } from '../schemas/json.ts';

/** The next settings with every part that equals the one before replaced by it, so that "is it the same" is cheap. */
export function share<T extends JsonValue>(before: JsonValue | undefined, next: T): T {
  if (!isObject(before) || !isObject(next)) return isEqual(before, next) ? (before as T) : next;
  let isSame = Object.keys(before).length === Object.keys(next).length;
  const shared: Record<string, JsonValue> = {};
  for (const key in next) {
    shared[key] = share(Object.hasOwn(before, key) ? before[key] : undefined, (next as JsonObject)[key]!);
    isSame &&= shared[key] === before[key];
  }
  return (isSame ? before : shared) as T;
}
