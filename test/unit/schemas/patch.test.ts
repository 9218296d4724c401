import { expect } from 'chai';
import fc from 'fast-check';
import { Digester, hash64 } from '../../../schemas/digest.ts';
import { deepFreeze, isEqual, type JsonObject } from '../../../schemas/json.ts';
import { applyPatch, compare, fromPointer, leavesOf, toPointer } from '../../../schemas/patch.ts';
import { formatPath, overlap, parsePath, valueAt } from '../../../schemas/paths.ts';
import { RunningDigest } from '../../../schemas/running-digest.ts';
import { settings } from '../../support/arbitrary.ts';

const frozen = settings.map((tree) => deepFreeze(tree));

describe('patches', () => {
  it('turn any settings into any others, exactly, whether whole or by way of JSON', () => {
    fc.assert(
      fc.property(frozen, frozen, (before, after) => {
        const { operations } = compare(before, after);
        const sent = JSON.parse(JSON.stringify(operations));
        expect(applyPatch(before, sent)).deep.equal(after);
      }),
      { numRuns: 500 },
    );
  });

  it('have no operation when nothing differs, and name the leaves that do', () => {
    fc.assert(
      fc.property(frozen, frozen, (before, after) => {
        const { operations, changed, removed } = compare(before, after);
        expect(operations.length === 0).equal(isEqual(before, after));
        for (const path of changed) expect(isEqual(valueAt(before, path), valueAt(after, path))).equal(false);
        for (const path of removed) expect(valueAt(after, path)).equal(undefined);
        const named = [...changed, ...removed];
        for (const leaf of leavesOf(after)) {
          if (!isEqual(valueAt(before, leaf), valueAt(after, leaf)))
            expect(named.some((path) => overlap(path, leaf))).equal(true);
        }
      }),
    );
  });

  it('leave the base as it is, share what they do not touch, and freeze the result', () => {
    const base = deepFreeze({ a: { b: 1 }, c: { d: 2 } });
    const next = applyPatch(base, [{ op: 'add', path: '/a/b', value: { e: 3 } }])!;
    expect(base).deep.equal({ a: { b: 1 }, c: { d: 2 } });
    expect(next).deep.equal({ a: { b: { e: 3 } }, c: { d: 2 } });
    expect(next.c).equal(base.c);
    expect(Object.isFrozen((next.a as JsonObject).b)).equal(true);
  });

  for (const [what, operation] of [
    ['a parent that is not there', { op: 'add', path: '/x/y', value: 1 }],
    ['a parent that is no object', { op: 'add', path: '/list/0', value: 1 }],
    ['a key to remove that is not there', { op: 'remove', path: '/x' }],
    ['a forbidden key', { op: 'add', path: '/__proto__', value: 1 }],
    ['the root', { op: 'remove', path: '' }],
    ['no pointer', { op: 'remove', path: 'a' }],
  ] as const) {
    it(`do not apply with ${what}`, () => {
      expect(applyPatch(deepFreeze({ a: 1, list: [1] }), [operation])).equal(undefined);
    });
  }

  it('write and read any path as a pointer and as text', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ minLength: 1 }), { maxLength: 4 }), (path) => {
        expect(fromPointer(toPointer(path))).deep.equal(path);
        expect(parsePath(formatPath(path))).deep.equal(path);
      }),
    );
    expect(formatPath(['database', 'url'])).equal('database.url');
    expect(formatPath(['features', 'new.ui', 'on'])).equal('features["new.ui"].on');
    for (const text of ['.', 'a.', '.a', 'a..b', 'a[b]', 'a["b"', 'a b'])
      expect(parsePath(text), text).equal(undefined);
  });
});

describe('digests', () => {
  it('are the same whether computed whole or from the settings before', () => {
    fc.assert(
      fc.property(fc.array(frozen, { minLength: 2, maxLength: 6 }), (chain) => {
        const digester = new Digester();
        let base: JsonObject | undefined;
        for (const tree of chain) {
          expect(digester.digest(tree, base)).equal(new Digester().digest(tree));
          base = tree;
        }
      }),
    );
  });

  it('are the same when they run along patches, taken or not', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(frozen, fc.boolean()), { minLength: 2, maxLength: 8 }), (chain) => {
        const running = new RunningDigest();
        let held: JsonObject = deepFreeze({});
        for (const [tree, isTaken] of chain) {
          const within = compare(held, tree).operations.map(({ path }) => fromPointer(path)!);
          expect(running.step(held, tree, within)).equal(new Digester().digest(tree));
          if (isTaken) held = tree;
        }
      }),
    );
  });

  it('differ when settings differ, and do not care for the order of keys', () => {
    fc.assert(
      fc.property(frozen, frozen, (a, b) => {
        expect(new Digester().digest(a) === new Digester().digest(b)).equal(isEqual(a, b));
      }),
    );
    expect(new Digester().digest({ a: 1, b: { c: [{ x: 1, y: 2 }] } })).equal(
      new Digester().digest({ b: { c: [{ y: 2, x: 1 }] }, a: 1 }),
    );
  });

  it('tell moved and doubled parts apart', () => {
    const digest = (tree: JsonObject) => new Digester().digest(tree);
    expect(digest({ a: { x: 1 }, b: {} })).not.equal(digest({ a: {}, b: { x: 1 } }));
    expect(digest({ a: '{}' })).not.equal(digest({ a: {} }));
    expect(digest({ a: 1 })).not.equal(digest({ a: '1' }));
    expect(digest({})).equal('0'.repeat(16));
  });

  it('are what the wire schema says, worked out by hand for one entry', () => {
    const { high, low } = hash64('"a":1');
    const hex = (half: number) => half.toString(16).padStart(8, '0');
    expect(new Digester().digest({ a: 1 })).equal(hex(high) + hex(low));
  });

  // Values of an implementation in Python, made from the words of the wire schema alone.
  for (const [tree, digest] of [
    [{ a: 1 }, '81763cf77a54b786'],
    [{ a: { b: [1, { d: 2, c: 'π' }] }, e: 'x' }, '302ef1dc02d71cb0'],
  ] as const) {
    it(`of ${JSON.stringify(tree)} is the same in another language`, () =>
      expect(new Digester().digest(tree)).equal(digest));
  }

  // Values of the reference implementation, as its users pass them on.
  for (const [text, seed, hash] of [
    ['', 0, 0],
    ['', 1, 0x514e28b7],
    ['test', 0, 0xba6bd213],
    ['Hello, world!', 0, 0xc0363e43],
    ['The quick brown fox jumps over the lazy dog', 0, 0x2e4ff723],
    ['ππππππππ', 0x9747b28c, 0xd58063c1],
  ] as const) {
    it(`hash '${text}' with seed ${seed} as MurmurHash3 does in their high half`, () =>
      expect(hash64(text, seed).high).equal(hash));
  }
});
