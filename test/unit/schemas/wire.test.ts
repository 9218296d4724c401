import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { fullFormats } from 'ajv-formats/dist/formats.js';
import { expect } from 'chai';
import fc from 'fast-check';
import { decodeFrame, encodeFrame, FrameError, FrameSplitter, toDaemonEvents } from '../../../schemas/wire.ts';
import { type FieldLimit, toDaemonLimits } from '../../../schemas/wire-limits.ts';

describe('frames', () => {
  it('come out whole however the stream is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { maxLength: 8 }), fc.array(fc.nat(20), { maxLength: 30 }), (texts, cuts) => {
        const stream = texts.map((text) => encodeFrame('t', { text })).join('');
        const splitter = new FrameSplitter(1_000);
        const got: unknown[] = [];
        let at = 0;
        for (const cut of [...cuts, stream.length]) {
          for (const frame of splitter.push(stream.slice(at, at + cut)))
            got.push((decodeFrame(frame).data as { text: string }).text);
          at += cut;
        }
        expect(got).deep.equal(texts);
        expect(splitter.pending).equal(0);
      }),
    );
  });

  it('are refused over the limit, whole or in pieces', () => {
    expect(() => [...new FrameSplitter(10).push('x'.repeat(11))]).throw(FrameError);
    const splitter = new FrameSplitter(10);
    expect(() => {
      for (let i = 0; i < 11; i++) for (const _ of splitter.push('x'));
    }).throw(FrameError);
  });

  for (const text of ['null', '1', '[]', '{}', '{"type":1}', '{', '']) {
    it(`are refused when they are ${text || 'nothing'}, without quoting it`, () => {
      expect(() => decodeFrame(text))
        .throw(FrameError)
        .with.property('message')
        .not.contain(text || '\f');
    });
  }
});

describe('the wire and options schemas', () => {
  for (const name of ['wire', 'options']) {
    it(`${name}.schema.json is valid by draft 2020-12, strictly`, () => {
      const schema = JSON.parse(readFileSync(new URL(`../../../schemas/${name}.schema.json`, import.meta.url), 'utf8'));
      const ajv = new Ajv2020({
        strict: true,
        strictRequired: false,
        strictTypes: false,
        allowUnionTypes: true,
        formats: fullFormats,
      });
      expect(ajv.validateSchema(schema), JSON.stringify(ajv.errors)).equal(true);
      ajv.compile(schema);
    });
  }

  it('describe every event that the daemon listens for', () => {
    const { $defs } = JSON.parse(readFileSync(new URL('../../../schemas/wire.schema.json', import.meta.url), 'utf8'));
    expect($defs.toDaemon.properties.type.enum).have.members([...toDaemonEvents]);
    for (const type of [...toDaemonEvents, ...$defs.toClient.properties.type.enum]) expect($defs).property(type);
  });
});

describe('the bounds of the wire', () => {
  const { $defs } = JSON.parse(readFileSync(new URL('../../../schemas/wire.schema.json', import.meta.url), 'utf8'));
  type Part = Record<string, unknown> & { properties?: Record<string, Part>; items?: Part; $ref?: string };
  const resolved = (part: Part): Part =>
    part.$ref ? { ...resolved($defs[part.$ref.replace('#/$defs/', '')]), ...part } : part;
  const limitOf = (given: Part) => {
    const part = resolved(given);
    if (part.type === 'array') return { items: part.maxItems, chars: resolved(part.items!).maxLength };
    return part.type === 'string' ? { chars: part.maxLength } : { most: part.maximum };
  };

  it('are the same in toDaemonLimits and in wire.schema.json, for every text, list and duration of a program', () => {
    for (const type of toDaemonEvents) {
      const limits: Record<string, FieldLimit> = { ...toDaemonLimits[type as 'hello'] };
      for (const [field, part] of Object.entries<Part>(resolved($defs[type]).properties!)) {
        const { isWhole: _, ...limit } = limits[field] ?? {};
        const isText = ['string', 'array'].includes(resolved(part).type as string);
        if (isText || field in limits) expect(limit, `${type}.${field}`).deep.equal(limitOf(part));
        delete limits[field];
      }
      expect(limits, type).deep.equal({});
    }
  });

  it('are there for every text, list and number, in both directions', () => {
    const unbounded: string[] = [];
    const look = (at: string, part: Part) => {
      const isBound =
        (part.type === 'string' && ('maxLength' in part || String(part.pattern).endsWith('{16}$'))) ||
        (part.type === 'array' && 'maxItems' in part) ||
        (['integer', 'number'].includes(part.type as string) && 'maximum' in part && 'minimum' in part) ||
        !['string', 'array', 'integer', 'number'].includes(part.type as string);
      if (!isBound) unbounded.push(at);
      for (const [name, inner] of Object.entries(part.properties ?? {})) look(`${at}.${name}`, inner);
      if (part.items) look(`${at}[]`, part.items);
    };
    for (const [name, part] of Object.entries<Part>($defs)) if (!name.startsWith('to')) look(name, part);
    // Which of the changed paths a frame names is cut by the daemon.
    expect(unbounded.filter((at) => !/^delivery\.(changed|removed)/.test(at))).deep.equal([]);
  });
});
