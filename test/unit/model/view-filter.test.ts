import { expect } from 'chai';
import fc from 'fast-check';
import { PathPatterns } from '../../../daemon/model/path-patterns.ts';
import { ViewFilter } from '../../../daemon/model/view-filter.ts';
import { deepFreeze, type JsonObject, type JsonValue } from '../../../schemas/json.ts';
import { leavesOf } from '../../../schemas/patch.ts';
import { type Path, parsePath, valueAt } from '../../../schemas/paths.ts';
import { settings } from '../../support/arbitrary.ts';

/** What a view shows, worked out leaf by leaf. `isTaken`: of a list that a pattern takes with all that is in it. */
function shownOf(
  value: JsonValue,
  at: Path,
  filter: ViewFilter,
  isExcluded: (at: Path) => boolean,
  isTaken = false,
): JsonValue | undefined {
  const isSeen = isTaken ? !isExcluded(at) : filter.sees(at);
  if (typeof value !== 'object' || value === null || Object.keys(value).length === 0) return isSeen ? value : undefined;
  if (isExcluded(at)) return undefined;
  const isAllTaken = isTaken || (Array.isArray(value) && isSeen);
  const shown = Object.entries(value).flatMap(([key, inner]): [string, JsonValue][] => {
    const part = shownOf(inner, [...at, key], filter, isExcluded, isAllTaken);
    return part === undefined ? [] : [[key, part]];
  });
  if (shown.length === 0) return undefined;
  return Array.isArray(value) ? shown.map(([, part]) => part) : Object.fromEntries(shown);
}

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
    [['list.*.secret'], [], { list: [{ secret: 1 }] }],
    [['**.secret'], [], { list: [{ secret: 1 }] }],
    [['list'], ['list.*.secret'], {}],
    [['http', 'list'], ['**.secret'], { http: { port: 80 } }],
    [['list'], ['list.0'], {}],
  ] as const) {
    it(`with include ${include.join(', ')} and exclude ${exclude.join(', ') || 'nothing'}`, () => {
      const filter = new ViewFilter(include, exclude);
      expect(filter.apply(all)).deep.equal(seen);
      for (const leaf of leavesOf(all).filter((path) => path[0] !== 'list'))
        expect(filter.sees(leaf), leaf.join('.')).equal(valueAt(seen as JsonObject, leaf) !== undefined);
    });
  }

  // Fault 62.
  it('reaches into lists: the keys of items, items, and lists in lists', () => {
    const settings = deepFreeze({
      db: {
        password: 'p0',
        replicas: [
          { host: 'h1', password: 'p1' },
          { password: 'p2' },
          { host: 'h3', users: [{ password: 'p3', id: 3 }] },
        ],
      },
      table: [
        [1, { key: 'k' }],
        [2, { key: 'l' }],
      ],
    });
    const shown = (include: string[], exclude: string[] = []) =>
      new ViewFilter(include, exclude).apply(settings as unknown as JsonObject);
    const hosts = [{ host: 'h1' }, { host: 'h3', users: [{ id: 3 }] }];
    const { table } = settings;
    expect(shown(['**'], ['**.password'])).deep.equal({ db: { replicas: hosts }, table });
    expect(shown(['**'], ['db.replicas.*.password', 'table'])).deep.equal({
      db: { password: 'p0', replicas: [{ host: 'h1' }, settings.db.replicas[2]] },
    });
    expect(shown(['db.*'], ['**.password'])).deep.equal({ db: { replicas: hosts } });
    expect(shown(['db.replicas.*.host'])).deep.equal({ db: { replicas: [{ host: 'h1' }, { host: 'h3' }] } });
    expect(shown(['db.replicas.0'])).deep.equal({ db: { replicas: [settings.db.replicas[0]] } });
    expect(shown(['table'], ['table.*.1'])).deep.equal({ table: [[1], [2]] });
    expect(shown(['table'], ['table.1', '**.key'])).deep.equal({ table: [[1]] });
    expect(shown(['db.replicas'], ['db.replicas.**'])).deep.equal({});
  });

  it('knows where all is seen that may stand at a path', () => {
    const filter = new ViewFilter(['web.**', 'llm.*', 'db'], ['db.*.password', 'web.private']);
    for (const [text, isSeen] of [
      ['web.key', true],
      ['web.key.deep', true],
      ['web', false],
      ['web.private', false],
      ['web.private.x', false],
      ['llm.key', false],
      ['db', false],
      ['db.one', false],
      ['db.one.url', true],
      ['db.one.password', false],
      ['', false],
    ] as const)
      expect(filter.seesAll(path(text)), text).equal(isSeen);
    expect(new ViewFilter(['**'], []).seesAll([])).equal(true);
  });

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
          const excluded = new PathPatterns(exclude);
          expect(seen).deep.equal(shownOf(tree, [], filter, (at) => excluded.covers(at)) ?? {});
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
