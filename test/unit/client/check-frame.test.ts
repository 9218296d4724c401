import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { fullFormats } from 'ajv-formats/dist/formats.js';
import { expect } from 'chai';
import fc from 'fast-check';
import { isUsable } from '../../../client/check-frame.ts';
import { patchOf, snapshotOf, welcome } from '../../support/fake-daemon.ts';

type Fields = Record<string, unknown>;

describe("the client's checks of what the daemon sends", () => {
  const file = new URL('../../../schemas/wire.schema.json', import.meta.url);
  const ajv = new Ajv2020({ strict: false, formats: fullFormats }).addSchema(
    JSON.parse(readFileSync(file, 'utf8')),
    'wire',
  );
  const isValid = (type: string, data: unknown) => ajv.getSchema(`wire#/$defs/${type}`)!(data) as boolean;
  const samples: readonly (readonly [string, Fields])[] = [
    ['welcome', welcome],
    ['welcome', { ...welcome, resume: 'same', limits: { ...welcome.limits, outboundFrame: 1024.5, verifyMs: 0.5 } }],
    ['snapshot', snapshotOf({ a: 1 }, 2)],
    ['patch', patchOf({ a: 1, b: 1 }, { a: 2 }, 1, 2)],
    ['verify', snapshotOf({}, 0)],
    ['verify', patchOf({ a: 1, b: 1 }, { a: 2 }, 1, 2)],
    ['state', welcome.state],
    ['ping', { revision: 3 }],
    ['pong', { revision: 3 }],
    ['response', { id: '1', ok: true, result: null }],
    ['response', { id: '1', ok: false, code: 'c', message: 'm' }],
    ['goodbye', { code: 'shutting_down', retryAfterMs: 250 }],
    ['goodbye', { code: 'shutting_down' }],
    ['error', { code: 'c', message: 'm', fatal: true, retryAfterMs: 0 }],
  ];
  /** What the client does not use, and does not look at. */
  const unused: Readonly<Record<string, readonly string[]>> = {
    welcome: ['session', 'epoch', 'revision', 'view', 'state', 'rotation', 'limits.inboundFrame', 'limits.heartbeatMs'],
    snapshot: ['changed', 'removed'],
    patch: ['changed', 'removed'],
    verify: ['changed', 'removed'],
    state: ['kind', 'since', 'sources'],
    pong: ['revision'],
    goodbye: ['code'],
  };
  const others = [
    undefined,
    null,
    true,
    -1,
    1.5,
    'n'.repeat(65),
    2 ** 60,
    'text',
    '2026-01-01T00:00:00Z',
    '',
    [],
    [null],
    {},
  ];

  /** The same frame with one field replaced, at the top or one level below. */
  function* changed(fields: Fields): Generator<[string, Fields]> {
    for (const [name, value] of Object.entries(fields)) {
      for (const other of others) yield [name, { ...fields, [name]: other }];
      if (name === 'limits')
        for (const [at, inner] of changed(value as Fields)) yield [`limits.${at}`, { ...fields, limits: inner }];
    }
  }

  it('let through what wire.schema.json allows', () => {
    for (const [type, data] of samples) {
      expect(isValid(type, data), `the schema: ${JSON.stringify(data)}`).equal(true);
      expect(isUsable(type, data), JSON.stringify(data)).equal(true);
    }
  });

  it('refuse what it refuses in any field that the client uses, and nothing else', () => {
    for (const [type, sample] of samples)
      for (const [at, data] of changed(sample)) {
        if (unused[type]?.includes(at)) continue;
        // Any text will do where it is only compared or shown.
        if (['digest', 'cause', 'id', 'code'].includes(at) && typeof data[at] === 'string') continue;
        // Whatever has another protocol is refused by that number.
        if (type === 'welcome' && at === 'protocol' && Number.isSafeInteger(data.protocol)) continue;
        const wire = JSON.parse(JSON.stringify(data));
        expect(isUsable(type, wire), `${type}.${at}: ${JSON.stringify(wire)}`).equal(isValid(type, wire));
      }
  });

  it('refuse no event that is not known', () => {
    for (const type of ['news', 'toString', '__proto__', '']) expect(isUsable(type, null)).equal(true);
  });

  it('throw at no data', () => {
    const types = fc.constantFrom(...samples.map(([type]) => type));
    fc.assert(fc.property(types, fc.jsonValue(), (type, data) => typeof isUsable(type, data) === 'boolean'));
  });
});
