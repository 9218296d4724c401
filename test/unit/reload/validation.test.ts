import { expect } from 'chai';
import { slowKeywords } from '../../../daemon/model/slow-keywords.ts';
import { loadAppSchema } from '../../../daemon/reload/load-app-schema.ts';
import { CandidateMaker } from '../../../daemon/reload/make-candidate.ts';
import { deepFreeze, type JsonObject } from '../../../schemas/json.ts';
import { useScratch } from '../../support/scratch.ts';

const partsOf = (settings: JsonObject) =>
  [{ sourceId: 's', kind: 'files', name: 'f', settings: deepFreeze(settings) }] as const;

describe('a schema that may take long to check', () => {
  it('is found by its keywords, wherever they stand, with their place', () => {
    const of = (schema: JsonObject) =>
      slowKeywords({ properties: { a: schema } }).map((text) => text.replace('#/properties/a', ''));
    for (const pattern of ['^(a+)+$', '(a|b+)*', '([a-z]+\\.)+', '(?:x*){2,}'])
      expect(of({ pattern, maxLength: 9 }).join(), pattern).match(/^: pattern may take exponential time/);
    for (const pattern of ['^[a-z]+$', '^(ab)+$', '[(+]*', '\\(+a\\)', '^[a-z]{1,9}(-[a-z]{1,9})*$'])
      expect(of({ pattern }), pattern).deep.equal([]);
    expect(of({ pattern: 'a*b*' }).join()).contain('add maxLength');
    expect(of({ pattern: 'a*b*', maxLength: 100 })).deep.equal([]);
    expect(of({ patternProperties: { '^(x+)+$': {} } }).join()).contain('patternProperties may take exponential');
    const unique = { uniqueItems: true, items: { type: 'object' } };
    for (const schema of [
      { items: unique },
      { $defs: { x: unique } },
      { anyOf: [unique] },
      { dependentSchemas: { b: unique } },
    ] as JsonObject[])
      expect(of(schema).join()).contain('uniqueItems compares');
    for (const schema of [
      { ...unique, maxItems: 9 },
      { uniqueItems: true, items: { type: 'string' } },
      { default: unique },
    ] as JsonObject[])
      expect(of(schema)).deep.equal([]);
  });
});

describe('validation', () => {
  const scratch = useScratch();
  const load = (schema: JsonObject) => loadAppSchema(scratch().write('app.schema.json', JSON.stringify(schema)));

  it('holds up the event loop for 100 ms at most, and ends in a worker', async () => {
    const { validate, validateElsewhere, doubts } = load({ properties: { a: { type: 'string', pattern: '^(a+)+$' } } });
    expect(doubts.join()).contain('#/properties/a: pattern may take exponential time');
    const settings = { a: `${'a'.repeat(60)}!` };
    expect(() => validate(settings))
      .throw('takes more than 100 ms')
      .with.property('code', 'validation_too_slow');
    const error = await validateElsewhere(settings).catch((error) => error);
    expect(error).include({ code: 'validation_too_slow' });
    expect(error.message).contain('takes more than 5 s (see `hotconf doctor`');
    expect(validate({ a: 'aaa' }, 10_000)).deep.equal([]);
    expect(await validateElsewhere({ a: 'b' }))
      .deep.equal(validate({ a: 'b' }))
      .length(1);
  });

  it('takes what a worker has found, and asks none where there is nothing to wait for', async () => {
    const asked: JsonObject[] = [];
    const candidates = new CandidateMaker({
      validate: ({ slow }) =>
        slow ? load({ properties: { a: { pattern: '(a+)+b' } } }).validate({ a: 'a'.repeat(60) }) : [],
      validateElsewhere: async (settings) => {
        asked.push(settings);
        return settings.slow === 'bad' ? [{ path: 'slow', keyword: 'k', message: 'is bad' }] : [];
      },
      maxBytes: 1000,
    });
    const [quick, slow, bad] = [partsOf({ a: 1 }), partsOf({ slow: true }), partsOf({ slow: 'bad' })];
    expect(candidates.prepare(quick)).equal(undefined);
    expect(() => candidates.make(slow)).throw('takes more than 100 ms');
    await candidates.prepare(slow);
    expect(candidates.make(slow).settings).deep.equal({ slow: true });
    await candidates.prepare(bad);
    expect(() => candidates.make(bad)).throw('is bad');
    expect(asked).length(2);
  });

  it('builds no more issues than it tells', () => {
    const { validate } = load({ properties: { a: { items: { type: 'string' } } } });
    expect(validate({ a: [1, 2, 3] })).length(3);
    expect(validate({ a: Array.from({ length: 1_000 }, () => 1) })).length(50);
    expect(validate({ a: Array.from({ length: 100_000 }, () => 1) })).length(1);
  });

  it('checks each format in time that grows with the text', () => {
    const { validate } = load({ properties: { a: { format: 'url' } } });
    // The pattern of the library took seconds for this.
    expect(validate({ a: `http://${':'.repeat(60_000)}` })).length(1);
    expect(validate({ a: 'https://db.internal:5432/x?y=1' })).deep.equal([]);
  });
});
