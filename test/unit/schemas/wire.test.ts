import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { fullFormats } from 'ajv-formats/dist/formats.js';
import { expect } from 'chai';
import fc from 'fast-check';
import { decodeFrame, encodeFrame, FrameError, FrameSplitter, toDaemonEvents } from '../../../schemas/wire.ts';

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
