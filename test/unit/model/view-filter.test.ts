import { expect } from 'chai';
import fc from 'fast-check';
import { PathPatterns } from '../../../daemon/model/path-patterns.ts';
import { ViewFilter } from '../../../daemon/model/view-filter.ts';
import { deepFreeze, type JsonObject } from '../../../schemas/json.ts';
import { leavesOf } from '../../../schemas/patch.ts';
import { parsePath, valueAt } from '../../../schemas/paths.ts';
import { settings } from '../../support/arbitrary.ts';

const path = (text: string) => parsePath(text)!;

describe('patterns of paths', () => {
  for (const [pattern, yes, no] of [
    ['database', ['database'], ['database.url', 'data', '']],
    ['database.*', ['database.url'], ['database', 'database.pool.size']],
    ['**', ['', 'a', 'a.b.c'], []],
    ['features.**', ['features', 'features.a', 'features.a.b'], ['feature', 'a.features']],
    ['**.password', ['password', 'a.password', 'a.b.password'], ['password.hash', 'passwords']],
    ['a.**.z', ['a.z', 'a.b.z', 'a.b.c.z', 'a.z.z'], ['a', 'z', 'a.z.y']],
    ['db-*.url', ['db-1.url', 'db-.url'], ['db.url', 'db-1.url.x']],
    ['["a.b"].*', ['["a.b"].c'], ['a.b.c']],
    ['*', ['a'], ['', 'a.b']],
  ] as const) {
    it(`${pattern} fits ${yes.join(', ') || 'nothing'} and not ${no.join(', ') || 'nothing'}`, () => {
      const patterns = new PathPatterns([pattern]);
      for (const text of yes) expect(patterns.matches(path(text)), text).equal(true);
      for (const text of no) expect(patterns.matches(path(text)), text).equal(false);
    });
  }

  it('refuses what is none', () => {
    for (const text of ['', '.a', 'a..b', 'a[b', 'a b']) expect(() => new PathPatterns([text])).throw(RangeError);
  });
});

describe('the filter of a view', () => {
  const all = deepFreeze({
    http: { port: 80 },
    llm: { key: 'k', model: 'm', adminKey: 'a', limits: { tokens: 5 } },
    features: { beta: true, deep: { er: true } },
    list: [{ secret: 1 }],
    empty: {},
  });

  for (const [include, exclude, seen] of [
    [['**'], [], all],
    [['features.**', 'llm.*'], ['llm.adminKey'], { features: all.features, llm: { key: 'k', model: 'm' } }],
    [['llm'], [], { llm: all.llm }],
    [['llm'], ['llm.limits'], { llm: { key: 'k', model: 'm', adminKey: 'a' } }],
    [['**'], ['llm', 'features.deep.*', 'list'], { http: { port: 80 }, features: { beta: true }, empty: {} }],
    [['**'], ['**'], {}],
    [['*.port', 'empty', 'list'], [], { http: { port: 80 }, empty: {}, list: [{ secret: 1 }] }],
    [['nobody'], [], {}],
    [['list.secret'], [], {}],
  ] as const) {
    it(`with include ${include.join(', ')} and exclude ${exclude.join(', ') || 'nothing'}`, () => {
      const filter = new ViewFilter(include, exclude);
      expect(filter.apply(all)).deep.equal(seen);
      for (const leaf of leavesOf(all))
        expect(filter.sees(leaf), leaf.join('.')).equal(valueAt(seen as JsonObject, leaf) !== undefined);
    });
  }

  it('shows exactly the leaves that it sees, for any settings and patterns, and is the same again for the same parts', () => {
    const segment = fc.constantFrom('a', 'b', 'c', '*', '**', 'a*');
    const patterns = fc.array(
      fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('.')),
      { maxLength: 3 },
    );
    fc.assert(
      fc.property(settings, settings, patterns, patterns, (first, second, include, exclude) => {
        const filter = new ViewFilter(include, exclude);
        for (const tree of [first, second].map(deepFreeze)) {
          const seen = filter.apply(tree);
          const expected = leavesOf(tree).filter((leaf) => leaf.length > 0 && filter.sees(leaf));
          expect(leavesOf(seen).filter(({ length }) => length > 0)).have.deep.members(expected);
          for (const leaf of expected) expect(valueAt(seen, leaf)).equal(valueAt(tree, leaf));
          expect(filter.apply(tree)).equal(seen);
          expect(Object.isFrozen(seen)).equal(true);
        }
        // What did not change is the same object, so that whoever compares skips it.
        const joined = deepFreeze({ ...first, zzz: 1 });
        for (const key of Object.keys(first)) expect(filter.apply(joined)[key]).equal(filter.apply(first)[key]);
      }),
    );
  });
});
