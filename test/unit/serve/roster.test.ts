import { setImmediate as tick } from 'node:timers/promises';
import { expect } from 'chai';
import type { ExpectedProgram } from '../../../daemon/model/snapshot.ts';
import { Roster } from '../../../daemon/serve/roster.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('the roster of expected programs', () => {
  let clock: FakeClock;
  let keeper: { expected: readonly ExpectedProgram[] };
  const program = (voter: string, verifies = true) => ({ voter, verifies });
  const names = () => keeper.expected.map(({ voter }) => voter);
  const isOver = async (promise: Promise<void>) => {
    const open = Symbol();
    await clock.advance(0);
    return (await Promise.race([promise, tick(open)])) !== open;
  };
  beforeEach(() => {
    clock = new FakeClock();
    keeper = { expected: [] };
  });

  it('remembers who was connected and did not say goodbye, in one write for all of a turn', async () => {
    let writes = 0;
    let kept: readonly ExpectedProgram[] = [];
    const counting = {
      get expected() {
        return kept;
      },
      set expected(next) {
        writes++;
        kept = next;
      },
    };
    const roster = new Roster({ keeper: counting, clock });
    for (const name of ['a', 'b', 'c']) roster.joined(program(`default/${name}`));
    await tick();
    expect(writes).equal(1);
    expect(roster.left('default/a', true)).equal(true);
    expect(roster.left('default/b', false)).equal(false);
    roster.flush();
    expect(kept.map(({ voter }) => voter)).deep.equal(['default/b', 'default/c']);
    expect(roster.isMissing(['default'])).equal(true);
    expect(roster.isMissing(['web'])).equal(false);
  });

  it('counts the connections of one name', () => {
    const roster = new Roster({ keeper, clock });
    roster.joined(program('default/a'));
    roster.joined(program('default/a'));
    expect(roster.left('default/a', true)).equal(false);
    expect(roster.isConnected('default/a')).equal(true);
    expect(roster.left('default/a', true)).equal(true);
    expect(roster.isConnected('default/a')).equal(false);
  });

  it('waits after a start until those with verify are back, or 6 s after the sockets are open', async () => {
    keeper.expected = [program('default/a'), program('default/b'), program('default/plain', false)];
    const roster = new Roster({ keeper, clock });
    expect(await isOver(roster.wanted)).equal(false);
    const returned = roster.returned(['default']);
    expect(await isOver(roster.wanted)).equal(true);
    await clock.advance(60_000);
    roster.open();
    roster.joined(program('default/a'));
    expect(await isOver(returned)).equal(false);
    roster.joined(program('default/b'));
    expect(await isOver(returned)).equal(true);

    const late = new Roster({ keeper: { expected: [program('default/gone')] }, clock });
    late.open();
    const waited = late.returned(['default']);
    await clock.advance(5_999);
    expect(await isOver(waited)).equal(false);
    await clock.advance(1);
    expect(await isOver(waited)).equal(true);
    expect(late.isMissing(['default'])).equal(false);
  });

  it('waits its time for anybody where the state that knew them was damaged', async () => {
    const roster = new Roster({ keeper: { expected: [], isLost: true }, clock });
    roster.open();
    const returned = roster.returned(['default']);
    roster.joined(program('default/a'));
    expect(await isOver(returned)).equal(false);
    expect(roster.isMissing(['default'])).equal(true);
    await clock.advance(6_000);
    expect(await isOver(returned)).equal(true);
    expect(roster.isMissing(['default'])).equal(false);
  });

  it('waits for nobody where only programs without verify were connected', async () => {
    keeper.expected = [program('default/plain', false)];
    expect(await isOver(new Roster({ keeper, clock }).returned(['default']))).equal(true);
  });

  it('waits for no program of a view that is not concerned', async () => {
    keeper.expected = [program('web/a')];
    const roster = new Roster({ keeper, clock });
    expect(await isOver(roster.returned(['default']))).equal(true);
    expect(await isOver(roster.returned(['default', 'web']))).equal(false);
  });

  it('keeps 256 programs, and drops the longest absent first', () => {
    const roster = new Roster({ keeper, clock });
    for (let i = 0; i < 300; i++) {
      roster.joined(program(`default/${i}`));
      if (i > 0) roster.left(`default/${i}`, false);
    }
    roster.flush();
    expect(names()).length(256).include('default/0').include('default/299').not.include('default/1');
  });
});
