import { expect } from 'chai';
import type { Delivery } from '../../../daemon/model/snapshot.ts';
import { Deliveries } from '../../../daemon/serve/deliveries.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';

describe('deliveries', () => {
  let clock: FakeClock;
  let settled: [number, Delivery][];
  let deliveries: Deliveries;
  beforeEach(() => {
    clock = new FakeClock();
    settled = [];
    deliveries = new Deliveries({ clock, onSettled: (revision, delivery) => settled.push([revision, delivery]) });
  });

  it('tell the time to the last answer, and who took it', async () => {
    deliveries.published(7);
    for (let i = 0; i < 3; i++) deliveries.sent(7);
    await clock.advance(5);
    deliveries.answered(7, 'accepted');
    deliveries.answered(7, 'rejected');
    expect(settled).deep.equal([]);
    await clock.advance(10);
    deliveries.answered(7, 'unanswered');
    expect(settled).deep.equal([[7, { accepted: 1, rejected: 1, lastAckMs: 15 }]]);
  });

  it('tell it again when a program that was busy has it too', async () => {
    deliveries.published(1);
    deliveries.sent(1);
    deliveries.answered(1, 'accepted');
    await clock.advance(100);
    deliveries.sent(1);
    deliveries.answered(1, 'accepted');
    expect(settled.map(([, { accepted, lastAckMs }]) => [accepted, lastAckMs])).deep.equal([
      [1, 0],
      [2, 100],
    ]);
  });

  it('count on when a revision that went to some first goes to all', () => {
    deliveries.published(1);
    deliveries.sent(1);
    deliveries.answered(1, 'accepted');
    deliveries.published(1);
    deliveries.sent(1);
    deliveries.answered(1, 'accepted');
    expect(settled.at(-1)![1]).include({ accepted: 2 });
  });

  it('say nothing of a revision that nobody has answered', () => {
    deliveries.published(1);
    deliveries.sent(1);
    deliveries.answered(1, 'unanswered');
    expect(settled).deep.equal([]);
  });

  it('are waited for until all have answered, or for a time', async () => {
    const waits = ['at once'];
    await deliveries.allAnswered(1_000);
    deliveries.published(1);
    deliveries.sent(1);
    void deliveries.allAnswered(1_000).then(() => waits.push('after a second'));
    void deliveries.allAnswered(60_000).then(() => waits.push('when answered'));
    await clock.advance(1_000);
    expect(waits).deep.equal(['at once', 'after a second']);
    deliveries.answered(1, 'accepted');
    await settle();
    expect(waits.at(-1)).equal('when answered');
    expect(clock.waiting).equal(0);
  });
});
