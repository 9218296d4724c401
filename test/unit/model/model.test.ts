import { expect } from 'chai';
import fc from 'fast-check';
import { AppSchema } from '../../../daemon/model/app-schema.ts';
import { DaemonError } from '../../../daemon/model/errors.ts';
import type { LayerPart, SourceKind } from '../../../daemon/model/layer.ts';
import { Merger } from '../../../daemon/model/merge.ts';
import { nearest } from '../../../daemon/model/nearest.ts';
import { isSecret, redactSettings } from '../../../daemon/model/secrecy.ts';
import { formatAge, parseDuration, parseSize } from '../../../daemon/model/units.ts';
import { deepFreeze, isObject, type JsonObject, type JsonValue } from '../../../schemas/json.ts';
import { heldBytes } from '../../fuzz/memory.ts';
import { settings } from '../../support/arbitrary.ts';

describe('merging', () => {
  /** The plain definition: objects deeply, everything else replaces. */
  const mergeTwo = (below: JsonValue | undefined, above: JsonValue): JsonValue => {
    if (!isObject(below) || !isObject(above)) return above;
    const merged: Record<string, JsonValue> = { ...below };
    for (const [key, value] of Object.entries(above)) merged[key] = mergeTwo(below[key], value);
    return merged;
  };

  it('is what merging two at a time would give, for any trees', () => {
    fc.assert(
      fc.property(fc.array(settings, { maxLength: 5 }), (trees) => {
        const expected = trees.reduce<JsonValue>((below, above) => mergeTwo(below, above), {});
        expect(new Merger().merge(trees.map(deepFreeze))).deep.equal(expected);
      }),
    );
  });

  it('gives the same objects again for the same trees, and keeps the parts of unchanged ones', () => {
    const merger = new Merger();
    const low = deepFreeze({ a: { x: 1 }, b: { y: 1 } });
    const high = deepFreeze({ a: { z: 2 } });
    const other = deepFreeze({ c: 3 });
    const first = merger.merge([low, high]);
    expect(merger.merge([low, high])).equal(first);
    const second = merger.merge([low, high, other]);
    expect(second.a).equal(first.a);
    expect(second.b).equal(low.b);
  });
});

describe('secrecy', () => {
  it('keeps little of long keys, however many settings lie below them', () => {
    const schema = new AppSchema({ additionalProperties: { additionalProperties: { type: 'string' } } });
    const long = 'k'.repeat(100_000);
    const before = heldBytes();
    for (let i = 0; i < 2_000; i++) expect(schema.secrecy([long, `k${i}`])).equal(undefined);
    expect(heldBytes() - before).lessThan(10 * 1024 * 1024);
  });

  const schema = new AppSchema({
    properties: {
      url: { writeOnly: true },
      port: { 'x-secret': false },
      db: { $ref: '#/$defs/db' },
      users: { type: 'array', items: { properties: { token: { 'x-secret': true } } } },
      flags: { 'x-secret': false, additionalProperties: { properties: { pin: { writeOnly: true } } } },
    },
    $defs: { db: { allOf: [{ properties: { password: { writeOnly: true } } }] } },
  });
  const part = (kind: SourceKind, tree: JsonObject): LayerPart => ({
    sourceId: kind,
    kind,
    name: kind,
    settings: tree,
  });

  it('is decided by the schema first, then by where the value comes from', () => {
    const parts = [
      part('defaults', { url: 'd', port: 1, host: 'h', db: { password: 'p', name: 'n' } }),
      part('files', { name: 'n', port: 2 }),
    ];
    const secret = (...path: string[]) => isSecret(schema, parts, path);
    expect(secret('url')).equal(true);
    expect(secret('db', 'password')).equal(true);
    expect(secret('db', 'name')).equal(false);
    expect(secret('host')).equal(false);
    expect(secret('name')).equal(true);
    expect(secret('port')).equal(false);
    expect(secret('flags', 'any')).equal(false);
    expect(secret('flags', 'any', 'pin')).equal(true);
  });

  it('redacts secrets wherever they are, inside arrays too, and nothing else', () => {
    const tree = { url: 'u', host: 'h', users: [{ name: 'n', token: 't' }] };
    expect(redactSettings(schema, [part('defaults', tree)], tree)).deep.equal({
      url: '[redacted]',
      host: 'h',
      users: [{ name: 'n', token: '[redacted]' }],
    });
    expect(redactSettings(schema, [part('files', tree)], tree).users).equal('[redacted]');
  });
});

describe("an application's schema, read by path", () => {
  const schema = new AppSchema({
    properties: {
      a: { oneOf: [{ type: 'integer' }, { type: 'null' }] },
      s: { type: ['string', 'number'] },
      loop: { $ref: '#/properties/loop' },
    },
    patternProperties: { '^on': { type: 'boolean' } },
  });

  it('names the scalar types, and prefers text where both are allowed', () => {
    expect(schema.scalarTypes(['a'])).deep.equal(['integer']);
    expect(schema.scalarTypes(['s'])).deep.equal([]);
    expect(schema.scalarTypes(['onX'])).deep.equal(['boolean']);
    expect(schema.scalarTypes(['no', 'where'])).deep.equal([]);
  });

  it('follows references to anchors, to addresses and into lists, and ignores those that lead nowhere', () => {
    const referring = new AppSchema({
      $id: 'https://example.com/app.json',
      properties: {
        anchor: { $ref: '#port' },
        dynamic: { $dynamicRef: '#port' },
        whole: { $ref: 'https://example.com/app.json#/$defs/port' },
        other: { $ref: 'parts/on.json' },
        inOther: { $ref: 'parts/on.json#/$defs/inner' },
        anchorInOther: { $ref: 'parts/on.json#text' },
        listed: { $ref: '#/$defs/list/anyOf/1' },
        escaped: { $ref: '#/$defs/a~1b%20c' },
        nowhere: { $ref: 'https://example.com/none.json' },
        broken: { $ref: '#/%' },
        $id: { type: 'integer' },
        enum: { $ref: '#port' },
      },
      $defs: {
        port: { $anchor: 'port', $dynamicAnchor: 'port', type: 'integer' },
        on: {
          $id: 'parts/on.json',
          type: 'boolean',
          $defs: { inner: { type: 'number' }, text: { $anchor: 'text', writeOnly: true } },
        },
        list: { anyOf: [{ type: 'string' }, { type: 'boolean' }] },
        'a/b c': { type: 'number' },
        data: { const: { $anchor: 'port', type: 'string' } },
      },
    });
    const types = Object.keys(referring.root.properties as JsonObject).map((key) => [
      key,
      referring.scalarTypes([key])[0],
    ]);
    expect(Object.fromEntries(types)).deep.equal({
      anchor: 'integer',
      dynamic: 'integer',
      whole: 'integer',
      other: 'boolean',
      inOther: 'number',
      anchorInOther: undefined,
      listed: 'boolean',
      escaped: 'number',
      nowhere: undefined,
      broken: undefined,
      $id: 'integer',
      enum: 'integer',
    });
    expect(referring.secrecy(['anchorInOther'])).equal(true);
    const older = new AppSchema({
      properties: { a: { $ref: '#old' } },
      definitions: { x: { $id: '#old', type: 'number' } },
    });
    expect(older.scalarTypes(['a'])).deep.equal(['number']);
  });

  it('takes for secret what any place marks, behind references, dependencies and unevaluated parts too', () => {
    const marked = { writeOnly: true };
    const schema = new AppSchema({
      $id: 'https://example.com/app.json',
      properties: {
        dynamic: { $dynamicRef: '#node' },
        lost: { $ref: 'https://example.com/none.json' },
        dependent: { dependentSchemas: { a: { properties: { pw: marked } } } },
        older: { dependencies: { a: { properties: { pw: marked } } } },
        rest: { unevaluatedProperties: marked },
        list: { contains: marked },
        tuple: { items: [{}, marked], additionalItems: marked },
      },
      $defs: {
        a: { $id: 'a.json', $dynamicAnchor: 'node' },
        b: { $id: 'b.json', $dynamicAnchor: 'node', 'x-secret': true },
      },
    });
    const paths = ['dynamic', 'lost', 'dependent.pw', 'older.pw', 'rest.x', 'list.0', 'tuple.1', 'tuple.2'];
    for (const path of paths) expect(schema.secrecy(path.split('.')), path).equal(true);
    expect(schema.secrecy(['tuple', '0'])).equal(undefined);
    expect(schema.unfollowed).deep.equal(['https://example.com/none.json']);
  });

  it('takes for not secret only what every alternative says so of', () => {
    const open = { 'x-secret': false };
    // An object literal with `then` looks like a promise to the linter.
    const conditional = (schema: object) =>
      JSON.parse(JSON.stringify(schema).replace('"THEN"', '"then"')) as JsonObject;
    const inner = { properties: { a: open } };
    const other = { properties: { a: {} } };
    const schema = new AppSchema({
      properties: {
        one: { anyOf: [inner, other] },
        all: { oneOf: [inner, { allOf: [inner, other] }, { $ref: '#/properties/plain' }] },
        plain: inner,
        if: conditional({ if: other, THEN: inner }),
        both: conditional({ if: other, THEN: inner, else: inner }),
        dependent: { dependentSchemas: { x: inner } },
        rest: { allOf: [{ properties: { a: {} } }], unevaluatedProperties: open },
        self: { anyOf: [{ $ref: '#/properties/self' }, inner] },
        mixed: { anyOf: [inner, { properties: { a: { writeOnly: true } } }] },
      },
    });
    const of = (name: string) => schema.secrecy([name, 'a']);
    for (const name of ['all', 'plain', 'both']) expect(of(name), name).equal(false);
    for (const name of ['one', 'if', 'dependent', 'rest', 'self']) expect(of(name), name).equal(undefined);
    expect(of('mixed')).equal(true);
  });

  it('takes the types of listed values where no type is named, and a number for what is either', () => {
    const listing = new AppSchema({
      properties: {
        levels: { enum: [1, 2] },
        exact: { const: 5 },
        half: { enum: [0.5, 1] },
        on: { const: true },
        size: { enum: ['auto', 1] },
        both: { anyOf: [{ type: 'integer' }, { type: 'number' }] },
        flag: { anyOf: [{ type: 'boolean' }, { type: 'integer' }] },
        named: { type: 'string', enum: ['1'] },
      },
    });
    const types = Object.keys(listing.root.properties as JsonObject).map((key) => [key, listing.scalarTypes([key])]);
    expect(Object.fromEntries(types)).deep.equal({
      levels: ['integer'],
      exact: ['integer'],
      half: ['number'],
      on: ['boolean'],
      size: ['integer'],
      both: ['number'],
      flag: ['integer', 'boolean'],
      named: [],
    });
    expect(listing.listsText(['size'], 'auto')).equal(true);
    expect(listing.listsText(['size'], '1')).equal(false);
  });

  it('is not caught by a reference to itself', () => expect(schema.at(['loop'])).length(1));
});

describe('small words', () => {
  it('finds the nearest name, and none when none is near', () => {
    expect(nearest('flies', ['files', 'env'])).equal('files');
    expect(nearest('ulr', ['url'])).equal('url');
    expect(nearest('quite', ['quiet', 'maxWait'])).equal('quiet');
    expect(nearest('banana', ['files', 'env'])).equal(undefined);
  });

  it('reads durations and sizes, and refuses what is none', () => {
    expect(['250ms', '10s', '5m', '1h', '0.5s'].map(parseDuration)).deep.equal([250, 10_000, 300_000, 3_600_000, 500]);
    expect(['64KiB', '16MiB', '1B'].map(parseSize)).deep.equal([65_536, 16_777_216, 1]);
    for (const text of ['', '5', 's', '5 s', '-5s', '5d', '5constructor'])
      expect(parseDuration(text), text).equal(undefined);
    expect([500, 11_000, 200_000, 9e6, 3e8].map(formatAge)).deep.equal(['0.5 s', '11 s', '3 m', '3 h', '3 d']);
  });

  it('composes an error of place, path, rule and mend', () => {
    const error = new DaemonError('source_malformed', 'is bad', {
      subject: 'a.yaml',
      line: 3,
      column: 5,
      path: 'b.c',
      mend: 'mend it',
    });
    expect(error.message).equal('a.yaml:3:5: b.c: is bad (mend it)');
    expect(error.exitCode).equal(65);
    expect(error.ofSource('s').facts.sourceId).equal('s');
  });
});
