import { renameSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { expect } from 'chai';
import { parseEnvText } from '../../daemon/sources/parse-env-text.ts';
import { until } from '../support/until.ts';
import { appSchema, useDaemon } from '../support/use-daemon.ts';

describe('61 documents that stand for more than their size', () => {
  const test = useDaemon();

  /** Puts documents into the folder at once; how the reload ended, and the share of its time for which the loop was held up. */
  async function reloadOf(...documents: readonly (readonly [name: string, content: string])[]) {
    const config = await test().connect();
    const before = config.settings;
    for (const [name, content] of documents) test().scratch.write(`bombs/${name}`, content);
    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    const start = performance.now();
    // Moved into place, so that writing them is not measured.
    for (const [name] of documents)
      renameSync(test().scratch.path(`bombs/${name}`), test().scratch.path(`secrets/${name}`));
    const ended = () => test().log.findLast(({ event }) => event === 'config_reload_failed');
    await until('it is refused', () => ended() !== undefined, 50_000);
    const end = ended()!;
    delay.disable();
    expect(config.settings).equal(before);
    expect(config.snapshot.revision).equal(1);
    return { end, share: delay.max / 1e6 / (performance.now() - start) };
  }

  const list = `[${'1,'.repeat(499_000)}1]`;
  const cases: readonly (readonly [what: string, says: RegExp, ...documents: (readonly [string, string])[]])[] = [
    [
      'a list of 30,000 numbers with 99 aliases',
      /source_too_many_values.*limits\.values of 100000/,
      ['z.yaml', `a: &a [${'1234, '.repeat(30_000)}1]\nb: [${'*a, '.repeat(98)}*a]\n`],
    ],
    [
      'a quote that 65,000 lines do not close',
      /source_malformed.*z\.env:2: opens a quote that is never closed/,
      ['z.env', `A=1\nB="${'\n'.repeat(65_000)}${'x'.repeat(62_000)}`],
    ],
    [
      '20,001 variables',
      /source_too_many_keys/,
      ['z.env', Array.from({ length: 20_001 }, (_, i) => `A${i}=1`).join('\n')],
    ],
    ['a list of 140,000 numbers', /source_too_many_values/, ['z.json', `{"a": [${'123456,'.repeat(140_000)}1]}`]],
    [
      'three lists of 977 KiB at once',
      /source_too_(large|many_values).*(5 s|128 MiB|limits\.values)/,
      ['x.yaml', `a: ${list}`],
      ['y.yaml', `b: ${list}`],
      ['z.yaml', `c: ${list}`],
    ],
  ];
  for (const [what, says, ...documents] of cases)
    it(`${what}: refused by what they stand for, while the loop goes on`, async function () {
      this.timeout(60_000);
      await test().start();
      const { end, share } = await reloadOf(...documents);
      expect(`${end.event} ${end.code} ${end.message}`)
        .match(/^config_reload_failed/)
        .match(says);
      // Where the loop itself parses, it is held up for nearly all of the time.
      expect(share, 'share of the time for which the loop was held up').lessThan(0.5);
    });

  it('a pattern that takes for ever to match ends by a code, while the loop goes on and everything stays', async function () {
    this.timeout(60_000);
    const { properties } = appSchema;
    const extra = { type: 'string', pattern: '^(a+)+$' };
    test().scratch.write('app.schema.json', JSON.stringify({ ...appSchema, properties: { ...properties, extra } }));
    await test().start();
    expect(test().logged('schema_doubtful')[0]!.message).contain(
      '#/properties/extra: pattern may take exponential time',
    );
    const { end, share } = await reloadOf(['z.yaml', `extra: ${'a'.repeat(60)}!\n`]);
    expect(end).include({ event: 'config_reload_failed', code: 'validation_too_slow' });
    expect(share).lessThan(0.5);
  });

  it('an open quote costs what its length is', () => {
    const spent = (lines: number) => {
      const text = `A="${'\n'.repeat(lines)}`;
      const start = performance.now();
      expect(() => parseEnvText(text, { subject: 'f', keys: 9 })).throw('f:1: opens a quote that is never closed');
      return performance.now() - start;
    };
    spent(65_000);
    // A hundred times the lines took ten thousand times as long.
    expect(spent(6_500_000)).lessThan(spent(65_000) * 1_000 + 1_000);
  });
});
