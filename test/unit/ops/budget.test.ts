import { expect } from 'chai';
import { Budget } from '../../../daemon/ops/budget.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('a budget', () => {
  it('tells so many a minute of each kind, and then how many went untold', async () => {
    const clock = new FakeClock();
    const budget = new Budget(clock, 2);
    expect([1, 2, 3, 4].map(() => budget.take('a'))).deep.equal([0, 0, undefined, undefined]);
    expect(budget.take('b')).equal(0);
    await clock.advance(60_000);
    expect([budget.take('a'), budget.take('a'), budget.take('a')]).deep.equal([2, 0, undefined]);
  });

  it('remembers a bounded number of kinds', () => {
    const budget = new Budget(new FakeClock(), 1);
    expect([budget.take('first'), budget.take('first')]).deep.equal([0, undefined]);
    for (let i = 0; i < 256; i++) budget.take(`kind ${i}`);
    expect(budget.take('first')).equal(0);
  });
});
