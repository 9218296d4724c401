import fc from 'fast-check';
import type { JsonObject, JsonValue } from '../../schemas/json.ts';

const key = fc
  .oneof(fc.constantFrom('a', 'b', 'c', 'd'), fc.string({ minLength: 1, maxLength: 6 }))
  .filter((name) => !['__proto__', 'constructor', 'prototype'].includes(name));
const scalar = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.integer(),
  fc
    .double({ noNaN: true, noDefaultInfinity: true })
    .filter((n) => !Number.isInteger(n) || Number.isSafeInteger(n))
    .map((n) => (Object.is(n, -0) ? 0 : n)),
  fc.string(),
);

/** Settings of a few keys that often meet, with every kind of value and odd key names. */
export const settings: fc.Arbitrary<JsonObject> = fc.letrec<{ value: JsonValue; object: JsonObject }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    scalar,
    fc.array(scalar, { maxLength: 3 }),
    fc.array(tie('object'), { maxLength: 2 }),
    tie('object'),
  ),
  object: fc.dictionary(key, tie('value'), { maxKeys: 5 }).map((object) => ({ ...object })),
})).object;
