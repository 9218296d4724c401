import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import fc from 'fast-check';
import { HeldTexts } from '../../../daemon/ops/held-texts.ts';
import { Redaction } from '../../../daemon/ops/redaction.ts';
import { deepFreeze, type JsonObject, type JsonValue } from '../../../schemas/json.ts';
import { TextIndex } from '../../../schemas/text-index.ts';

const tree = (value: string): JsonObject => deepFreeze({ database: { url: value } });
const isSecret = (redaction: Redaction, value: string) => !redaction.clean(`a ${value} b`).includes(value);

describe('what is secret', () => {
  it('is a value that is held, however many contents of its document were parsed since', () => {
    const redaction = new Redaction();
    const served = tree('served-secret');
    redaction.remember('d', served);
    redaction.hold(served);
    for (let i = 0; i < 5; i++) redaction.remember('d', tree(`later-secret-${i}`));
    expect(isSecret(redaction, 'served-secret')).equal(true);
    redaction.release(served);
    expect(isSecret(redaction, 'served-secret')).equal(false);
  });

  it('ends when a tree was released as often as it was held, and not before', () => {
    const redaction = new Redaction();
    const [held, equal] = [tree('held-secret'), tree('held-secret')];
    redaction.hold(held);
    redaction.hold(held);
    redaction.hold(equal);
    redaction.release(held);
    redaction.release(equal);
    redaction.release(equal);
    expect(isSecret(redaction, 'held-secret')).equal(true);
    redaction.release(held);
    expect(isSecret(redaction, 'held-secret')).equal(false);
    redaction.release(held);
    redaction.hold(held);
    expect(isSecret(redaction, 'held-secret')).equal(true);
  });

  it('survives in a subtree that another held tree shares', () => {
    const redaction = new Redaction();
    const shared = tree('shared-secret');
    const [first, second] = [deepFreeze({ shared, a: 'first-only' }), deepFreeze({ shared, a: 'second-only' })];
    redaction.hold(first);
    redaction.hold(second);
    redaction.release(first);
    expect(isSecret(redaction, 'shared-secret')).equal(true);
    expect(isSecret(redaction, 'first-only')).equal(false);
  });

  it('is forgotten with its document, except where it is held otherwise', () => {
    const redaction = new Redaction();
    redaction.remember('gone', { a: 'gone-secret', b: 'kept-secret' });
    redaction.remember('gone', { a: 'gone-secret-2', b: 'kept-secret' });
    redaction.remember('other', ['kept-secret']);
    redaction.forget('gone');
    redaction.forget('never there');
    for (const value of ['gone-secret', 'gone-secret-2']) expect(isSecret(redaction, value), value).equal(false);
    expect(isSecret(redaction, 'kept-secret')).equal(true);
  });

  it('does not grow by documents with ever new names; what is held stays secret', () => {
    const redaction = new Redaction();
    const first = tree('first-secret');
    redaction.remember('d-0', first);
    redaction.remember('e-0', tree('other-secret'));
    redaction.hold(first);
    for (let i = 1; i <= 10_000; i++) redaction.remember(`d-${i}`, 'a-secret');
    expect(isSecret(redaction, 'other-secret')).equal(false);
    expect(isSecret(redaction, 'first-secret')).equal(true);
  });

  it('is a number only from eight digits on', () => {
    const redaction = new Redaction();
    redaction.remember('d', { bytes: 262_144, ratio: 0.123456, account: 12_345_678 });
    expect(redaction.clean('22621441 bytes, 0.123456, account 12345678')).equal(
      '22621441 bytes, 0.123456, account [redacted]',
    );
  });

  it('covers two secrets that overlap in a text', () => {
    const redaction = new Redaction();
    redaction.remember('d', ['abcdefghij', 'ghijklmnop', 'bcdefg']);
    expect(redaction.clean('<abcdefghijklmnop>')).equal('<[redacted]>');
  });

  it('is what random steps of remembering, holding and releasing leave, and nothing else', () => {
    const step = fc.record({ kind: fc.constantFrom('remember', 'hold', 'release', 'clean'), of: fc.nat(5) });
    const trees = [...Array(6).keys()].map((i) => deepFreeze({ own: `secret-${i}!`, pair: `pair-${i >> 1}-end` }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const redaction = new Redaction();
        const holds = trees.map(() => 0);
        let recent: number[] = [];
        for (const { kind, of } of steps) {
          if (kind === 'clean') redaction.clean('a text');
          else redaction[kind as 'hold'](...((kind === 'remember' ? ['d', trees[of]] : [trees[of]]) as [JsonValue]));
          if (kind === 'hold') holds[of]!++;
          else if (kind === 'release') {
            // A release without a hold ends another one's: the owner's mistake, which the model leaves out.
            if (holds[of]! > 0) holds[of]!--;
            else if (recent.includes(of)) redaction.hold(trees[of]!);
          } else if (kind === 'remember' && recent[0] !== of) recent = [of, ...recent.slice(0, 1)];
        }
        const live = new Set(trees.flatMap((t, i) => (holds[i]! > 0 || recent.includes(i) ? Object.values(t) : [])));
        for (const value of trees.flatMap((t) => Object.values(t)))
          expect(isSecret(redaction, value), value).equal(live.has(value));
      }),
      { numRuns: 300 },
    );
  });
});

describe('the cost of redaction', () => {
  it('does not grow while nothing is cleaned, as with a log level that nothing reaches', () => {
    const redaction = new Redaction();
    let revision = 0;
    const edit = (times: number) => {
      for (let i = 0; i < times; i++) {
        revision++;
        const values = [...Array(100).keys()].map((key) => `${revision}-${key}-${'x'.repeat(60)}`);
        redaction.remember('d', values);
      }
      return usedHeap();
    };
    const before = edit(200);
    expect(edit(1_000) - before, 'bytes of growth').lessThan(1_000_000);
    expect(isSecret(redaction, `${revision}-7-${'x'.repeat(60)}`)).equal(true);
  });

  it('is that of the change when a held tree is followed by one that shares most of it', () => {
    const texts = new HeldTexts();
    const big = deepFreeze(Object.fromEntries([...Array(20_000).keys()].map((i) => [`k${i}`, `value-${i}`])));
    texts.hold(deepFreeze({ big, small: 'small-1' }));
    [...texts.takeChanges()];
    texts.hold(deepFreeze({ big, small: 'small-2' }));
    expect([...texts.takeChanges()]).deep.equal([['small-2', true]]);
  });

  it('does not depend on how many values have a common beginning', () => {
    const spent = (values: number) => {
      const redaction = new Redaction();
      redaction.remember(
        'd',
        [...Array(values).keys()].map((i) => `https://host-${i}.example/`),
      );
      redaction.clean('');
      const text = 'https:'.repeat(10_000);
      return Math.min(...[1, 2, 3].map(() => milliseconds(() => redaction.clean(text))));
    };
    const few = spent(20);
    // The search through a bucket took 60 times as long.
    expect(spent(3_000)).lessThan(few * 10 + 20);
  });
});

describe('an index of texts', () => {
  it('finds the longest of the texts that are in it, after any additions and deletions', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 3, maxLength: 12 });
    fc.assert(
      fc.property(fc.array(fc.tuple(text, fc.boolean()), { maxLength: 40 }), text, (steps, searched) => {
        const index = new TextIndex(3);
        const all: string[] = [];
        for (const [one, isAdded] of steps) {
          if (isAdded) index.add(one);
          else if (all.includes(one)) index.delete(one);
          if (isAdded) all.push(one);
          else if (all.includes(one)) all.splice(all.indexOf(one), 1);
        }
        const expected = Math.max(0, ...all.filter((one) => searched.startsWith(one)).map(({ length }) => length));
        expect(index.longestAt(`-${searched}`, 1)).equal(expected);
      }),
      { numRuns: 1_000 },
    );
  });
});

function milliseconds(task: () => void): number {
  const start = performance.now();
  task();
  return performance.now() - start;
}

function usedHeap(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}
