import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { systemClock } from '../../../daemon/ops/clock.ts';
import { loadOptions } from '../../../daemon/ops/options-file.ts';
import { useScratch } from '../../support/scratch.ts';

describe('the system clock', () => {
  const { setTimeout: original } = globalThis;
  afterEach(() => {
    globalThis.setTimeout = original;
  });

  it('waits longer than one timer can, in pieces', () => {
    const delays: number[] = [];
    let fire = () => {};
    const fake = (callback: () => void, ms: number) => {
      delays.push(ms);
      fire = callback;
      return original(() => {}, 0);
    };
    globalThis.setTimeout = fake as never;
    let isOver = false;
    const most = 2 ** 31 - 1;
    systemClock.after(2 * most + 5, () => {
      isOver = true;
    });
    fire();
    fire();
    expect(isOver).equal(false);
    fire();
    expect(delays).deep.equal([most, most, 5]);
    expect(isOver).equal(true);
  });
});

describe('a time in the options', () => {
  const scratch = useScratch();
  const schema = JSON.parse(readFileSync('schemas/options.schema.json', 'utf8'));

  const load = (path: readonly string[], time: string) => () => {
    scratch().write('app.schema.json', '{}');
    const options: Record<string, unknown> = {
      schema: './app.schema.json',
      sources: { gcp: { project: 'p', secrets: [{ secret: 's', at: 'a' }] } },
      rollout: { strategy: 'canary' },
    };
    put(options, path, time);
    return loadOptions(scratch().write('hotconf.yaml', JSON.stringify(options)), {});
  };

  // Every place in the schema where a duration may stand, so that one that is added cannot be forgotten.
  for (const path of durationsIn(schema)) {
    it(`has an upper bound at ${path.join('.')}`, () => {
      load(path, '2s')();
      for (const time of ['100000h', '99999999999999999999h'])
        expect(load(path, time), time).throw().include({ code: 'options_invalid' });
    });
  }

  for (const path of ['reload.rescan', 'sources.gcp.resync', 'admin.rateLimit.per']) {
    it(`is at least a second at ${path}`, () => {
      for (const time of ['0s', '999ms'])
        expect(load(path.split('.'), time), time)
          .throw()
          .include({ code: 'options_invalid' });
    });
  }
});

function durationsIn(node: Record<string, unknown>, path: readonly string[] = []): string[][] {
  if (node.$ref === '#/$defs/duration') return [[...path]];
  const properties = Object.entries((node.properties ?? {}) as Record<string, Record<string, unknown>>);
  return properties.flatMap(([key, inner]) => durationsIn(inner, [...path, key]));
}

function put(tree: Record<string, unknown>, [key, ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) tree[key!] = value;
  else {
    tree[key!] ??= {};
    put(tree[key!] as Record<string, unknown>, rest, value);
  }
}
