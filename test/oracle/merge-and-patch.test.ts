import { expect } from 'chai';
import fc from 'fast-check';
import patches from 'fast-json-patch';
import { Merger } from '../../daemon/model/merge.ts';
import { deepFreeze, isObject, type JsonObject, type JsonValue } from '../../schemas/json.ts';
import { applyPatch, compare } from '../../schemas/patch.ts';
import { settings } from '../support/arbitrary.ts';
import { check, howToRepeat, timeoutMs } from '../support/oracle.ts';

const frozen = settings.map((tree) => deepFreeze(tree));
const copy = <T>(tree: T): T => structuredClone(tree);

/** The leaves of a tree with their paths, in a form that shares nothing with the code under test. */
function flat(
  tree: JsonValue,
  at: readonly string[] = [],
  found = new Map<string, JsonValue>(),
): Map<string, JsonValue> {
  if (isObject(tree) && Object.keys(tree).length > 0)
    for (const [key, value] of Object.entries(tree)) flat(value, [...at, key], found);
  else found.set(JSON.stringify(at), tree);
  return found;
}

describe(`merging and patches agree with other implementations ${howToRepeat}`, function () {
  this.timeout(timeoutMs);

  it('a merge has each leaf of the highest tree that says anything at, above or below its path', () => {
    const property = fc.property(fc.array(frozen, { minLength: 1, maxLength: 4 }), (trees) => {
      const merged = flat(new Merger().merge(trees));
      const expected = new Map<string, JsonValue>();
      for (const tree of trees) {
        for (const [path, value] of flat(tree)) {
          const at: string[] = JSON.parse(path);
          const isEmpty = isObject(value);
          const below = [...expected.keys()].filter((key) => isWithin(JSON.parse(key), at));
          // An empty object says that there is an object, and takes nothing away from one.
          if (isEmpty && below.some((key) => key !== path || isObject(expected.get(key)))) continue;
          for (const key of below) expected.delete(key);
          for (let length = 0; length < at.length; length++) expected.delete(JSON.stringify(at.slice(0, length)));
          expected.set(path, value);
        }
      }
      expect(Object.fromEntries(merged)).deep.equal(Object.fromEntries(expected));
    });
    check(property, 400);
  });

  it('a patch leads from one tree to another, by fast-json-patch as by our own', () => {
    const property = fc.property(frozen, frozen, (before, after) => {
      const operations = copy(compare(before, after).operations) as unknown as patches.Operation[];
      const theirs = patches.applyPatch(copy(before), copy(operations), true).newDocument;
      expect(theirs).deep.equal(after);
      expect(applyPatch(before, compare(before, after).operations)).deep.equal(after);
    });
    check(property, 600);
  });

  it('our own apply reads what fast-json-patch compares, where it adds, removes and replaces whole values', () => {
    const property = fc.property(frozen, frozen, (before, after) => {
      const theirs = patches.compare(before as object, after as object);
      // Ours never reaches into a list, and has no `replace`: an `add` replaces.
      fc.pre(theirs.every(({ path }) => !reachesIntoList(before, path) && !reachesIntoList(after, path)));
      const operations = theirs.map((one) => (one.op === 'replace' ? { ...one, op: 'add' as const } : one));
      expect(applyPatch(before, operations as Parameters<typeof applyPatch>[1])).deep.equal(after);
    });
    check(property, 400);
  });
});

function isWithin(path: readonly string[], above: readonly string[]): boolean {
  return path.length >= above.length && above.every((key, i) => path[i] === key);
}

function reachesIntoList(tree: JsonObject, pointer: string): boolean {
  let value: JsonValue | undefined = tree;
  for (const key of pointer.split('/').slice(1)) {
    if (Array.isArray(value)) return true;
    const name = key.replaceAll('~1', '/').replaceAll('~0', '~');
    value = isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
  }
  return false;
}
