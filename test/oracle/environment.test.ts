import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'chai';
import fc from 'fast-check';
import { AppSchema } from '../../daemon/model/app-schema.ts';
import { settingsOfEnv } from '../../daemon/sources/parse-env.ts';
import type { JsonObject } from '../../schemas/json.ts';
import { check, guide, howToRepeat, outcome, shown, timeoutMs } from '../support/oracle.ts';

const defs: JsonObject = {
  port: { $anchor: 'port', type: 'integer' },
  flag: { $id: 'https://example.com/flag.json', type: 'boolean' },
  list: { anyOf: [{ type: 'string', maxLength: 0 }, { type: 'number' }] },
};
const schemas: readonly JsonObject[] = [
  { type: 'integer' },
  { type: 'number' },
  { type: 'boolean' },
  { type: 'string' },
  { type: ['integer', 'boolean'] },
  { type: ['number', 'null'] },
  { $ref: '#port' },
  { $ref: '#/$defs/port' },
  { $ref: 'https://example.com/flag.json' },
  { $ref: '#/$defs/list/anyOf/1' },
  { allOf: [{ type: 'number' }, { minimum: 0 }] },
  {
    oneOf: [
      { $ref: '#port', maximum: 5 },
      { $ref: '#port', minimum: 6 },
    ],
  },
  { type: 'integer', enum: [1, 2, 3] },
  {},
];
const text = fc.oneof(
  fc.constantFrom('true', 'false', 'TRUE', 'yes', '0', '1', '-1', '+7', '007', '1.50', '.5', '5.', '1e3', '1E-2', '-0'),
  fc.constantFrom('', ' ', ' 1', '1 ', '0x10', '0b1', '1_000', 'NaN', 'Infinity', '-Infinity', '1e999', '1,5', 'null'),
  fc.constantFrom('9007199254740991', '9007199254740992', '9007199254740993', '12345678901234567890', '1e300'),
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc.string({ maxLength: 4 }),
);

/** What the environment never gives although ajv would convert it: see config/README.md. */
function isIntended(given: string): boolean {
  const number = Number(given);
  const isPlain = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(given);
  const isExact = Number.isFinite(number) && (!Number.isInteger(number) || Number.isSafeInteger(number));
  return given.trim() !== given || given === '' || (!Number.isNaN(number) && !(isPlain && isExact));
}

describe(`text from an environment is typed as ajv would coerce it ${howToRepeat}`, function () {
  this.timeout(timeoutMs);

  const compiled = schemas.map((value) => {
    const root = { $id: 'https://example.com/app.json', properties: { value }, $defs: defs };
    return {
      value,
      ours: new AppSchema(root),
      strict: new Ajv2020({ strict: false }).compile(root),
      coerce: new Ajv2020({ strict: false, coerceTypes: true }).compile(root),
    };
  });

  it('accepts the same texts with the same values, but for the differences that are listed', () => {
    const property = fc.property(fc.nat(compiled.length - 1), text, (index, given) => {
      const { value, ours, strict, coerce } = compiled[index]!;
      const mine = outcome(() => settingsOfEnv({ VALUE: given }, { schema: ours }, 'f'));
      const isMineValid = 'value' in mine && strict(mine.value);
      const theirs = { value: given as unknown };
      const isTheirsValid = coerce(theirs) as boolean;
      const what = `${JSON.stringify(value)} of ${JSON.stringify(given)}`;
      if (isMineValid) {
        expect(isTheirsValid, what).equal(true);
        expect(mine.value.value, what).deep.equal(theirs.value);
      } else if (isTheirsValid) expect(isIntended(given), what).equal(true);
    });
    check(property, 1_500);
  });

  for (const [given, type, ajv] of [
    ['0x10', 'integer', 16],
    [' 1', 'integer', 1],
    ['9007199254740993', 'integer', 9007199254740992],
    ['1e999', 'number', Number.POSITIVE_INFINITY],
    ['', 'null', null],
  ] as const) {
    it(`differs on purpose: ajv takes '${given}' for the ${type} ${ajv}, and it is refused here`, () => {
      const root = { properties: { value: { type } } };
      const theirs = { value: given as unknown };
      expect(new Ajv2020({ strict: false, coerceTypes: true }).compile(root)(theirs)).equal(true);
      expect(theirs.value).equal(ajv);
      const mine = outcome(() => settingsOfEnv({ VALUE: given }, { schema: new AppSchema(root) }, 'f'));
      expect('value' in mine && new Ajv2020({ strict: false }).compile(root)(mine.value)).equal(false);
      expect(guide).contain(given === '' ? 'An empty value' : `- ${shown(given)}`);
    });
  }
});
