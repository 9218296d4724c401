import { expect } from 'chai';
import { Retry } from '../../../daemon/reload/retry.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('trying again', () => {
  let clock: FakeClock;
  let acts: number;
  const retry = (random: number) => new Retry({ clock, random: () => random, act: () => void acts++ });
  beforeEach(() => {
    clock = new FakeClock();
    acts = 0;
  });

  it('comes after 5 s, then twice as long each time, at most 10 minutes', async () => {
    const late = retry(1);
    for (const seconds of [5, 10, 20, 40, 80, 160, 320, 600, 600]) {
      late.failed();
      await clock.advance(seconds * 1_000 - 1);
      const before = acts;
      await clock.advance(1);
      expect(acts, `${seconds} s`).equal(before + 1);
    }
  });

  it('is jittered down to half, is one at a time, and ends when it worked', async () => {
    const early = retry(0);
    early.failed();
    early.failed();
    await clock.advance(4_999);
    expect(acts).equal(0);
    await clock.advance(1);
    expect(acts).equal(1);
    early.failed();
    early.worked();
    expect(clock.waiting).equal(0);
  });
});
