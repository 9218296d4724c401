import { expect } from 'chai';
import type { LayerPart } from '../../../daemon/model/layer.ts';
import type { Refusal } from '../../../daemon/model/snapshot.ts';
import { Refusals } from '../../../daemon/reload/refusals.ts';
import { deepFreeze, type JsonObject } from '../../../schemas/json.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('the contents that programs refused', () => {
  let clock: FakeClock;
  let keeper: { refusals: readonly Refusal[]; mark: (digest: string) => string };
  let due: string[][];
  let refusals: Refusals;
  const part = (name: string, settings: JsonObject): LayerPart => ({
    sourceId: 'files',
    kind: 'files',
    name,
    settings: deepFreeze(settings),
  });
  const open = (random = 1) =>
    new Refusals({ keeper, clock, random: () => random, onDue: (sourceIds) => void due.push([...sourceIds]) });
  const [a1, a2, b1, b2] = [part('a', { a: 1 }), part('a', { a: 2 }), part('b', { b: 1 }), part('b', { b: 2 })];
  const held = (...parts: LayerPart[]) => [...refusals.heldOf(parts)].map((key) => key.split('\n')[1]);
  beforeEach(() => {
    clock = new FakeClock();
    due = [];
    keeper = { refusals: [], mark: (digest) => `mark of ${digest}` };
    refusals = open();
  });

  it('are due after 5 s, then twice as long each time, at most 10 minutes', async () => {
    for (const seconds of [5, 10, 20, 40, 80, 160, 320, 600, 600]) {
      refusals.reject([a2!], [a1!], 'no', []);
      await clock.advance(seconds * 1_000 - 1);
      const before = due.length;
      expect(held(a2!)).deep.equal(['a']);
      await clock.advance(1);
      expect(due.length, `${seconds} s`).equal(before + 1);
      expect(held(a2!)).deep.equal([]);
    }
    expect(due[0]).deep.equal(['files']);
  });

  it('are due at half of that at the earliest, and not once they have passed', async () => {
    refusals = open(0);
    refusals.reject([a2!], [a1!], 'no', []);
    await clock.advance(2_499);
    expect(due).deep.equal([]);
    await clock.advance(1);
    expect(due).length(1);
    refusals.reject([a2!], [a1!], 'no', []);
    refusals.passed([a2!]);
    expect(clock.waiting).equal(0);
    expect(refusals.heldIn([a2!])).deep.equal([]);
  });

  it('are a combination: with other content of one part, or without it, nothing is held', () => {
    refusals.withdraw([a2!, b2!], [a1!, b1!], 'p fails', ['default/p']);
    expect(held(a2!, b2!)).deep.equal(['a', 'b']);
    expect(held(a2!, b2!, part('c', {}))).deep.equal(['a', 'b']);
    expect(held(a2!, b1!)).deep.equal([]);
    expect(held(part('a', { a: 3 }), b2!)).deep.equal([]);
    // The same content again is the same combination, from whatever it was parsed.
    expect(held(part('a', { a: 2 }), part('b', { b: 2 }))).deep.equal(['a', 'b']);
    expect(() => refusals.checkWithdrawn([a2!, b2!])).throw('a, b: was withdrawn before: p fails');
  });

  it('may be that a part is gone', () => {
    refusals.withdraw([a1!], [a1!, b1!], 'p needs b', []);
    expect(held(a1!)).deep.equal(['b']);
    expect(held(a1!, b1!)).deep.equal([]);
  });

  it('survive a restart by marks alone: what was rejected is due then, what was withdrawn is not', async () => {
    refusals.reject([a2!], [a1!], 'no', ['default/p']);
    refusals.withdraw([b2!], [b1!], 'no', []);
    refusals.stop();
    expect(JSON.stringify(keeper.refusals)).not.contain('"a":2');
    refusals = open();
    expect(held(a2!, b2!)).deep.equal(['b']);
    expect(refusals.refusersOf([a2!])).deep.equal(['default/p']);
    await clock.advance(3_600_000);
    expect(held(a2!, b2!)).deep.equal(['b']);
    expect(refusals.heldIn([a2!, b2!]).map(({ kind, nextTry }) => [kind, nextTry === null])).deep.equal([
      ['withdrawn', true],
      ['rejected', false],
    ]);
  });

  it('are forgotten when the sources say something else, and their programs when they say goodbye', () => {
    refusals.reject([a2!], [a1!], 'no', ['default/p']);
    refusals.withdraw([b2!], [b1!], 'no', ['default/p']);
    refusals.keepOnly([a1!, b1!]);
    expect(refusals.heldIn([a2!, b2!]).map(({ kind }) => kind)).deep.equal(['withdrawn']);
    refusals.reject([a2!], [a1!], 'no', ['default/p']);
    refusals.forgetVoter('default/p');
    expect(refusals.refusersOf([a2!, b2!])).deep.equal([]);
    refusals.clear();
    expect(refusals.heldIn([a2!, b2!])).deep.equal([]);
    expect(keeper.refusals).deep.equal([]);
  });

  it('are no more than 64', () => {
    for (let i = 0; i < 100; i++) refusals.withdraw([part('a', { i })], [a1!], 'no', []);
    expect(keeper.refusals).length(64);
    expect(held(part('a', { i: 99 }))).deep.equal(['a']);
  });
});
