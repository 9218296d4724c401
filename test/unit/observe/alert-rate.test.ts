import { expect } from 'chai';
import type { ReloadOutcome, ReloadRecord } from '../../../daemon/model/snapshot.ts';
import { type Alert, AlertBook } from '../../../daemon/observe/alert-book.ts';
import { AlertRate } from '../../../daemon/observe/alert-rate.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const minuteMs = 60_000;

describe('the rate of alerts', () => {
  let clock: FakeClock;
  let told: Alert[];
  let rate: AlertRate;
  let book: AlertBook;
  beforeEach(() => {
    clock = new FakeClock();
    told = [];
    rate = new AlertRate({ clock, tell: (alert) => told.push(alert) });
    book = new AlertBook({ clock, tell: (alert) => rate.tell(alert) });
  });
  const of = (key: string) => told.filter((alert) => alert.key === key);
  const reload = (cause: 'file' | 'rollback', revision: number) => {
    const record = {
      at: new Date(clock.wall()).toISOString(),
      cause,
      revision,
      to: 1,
      outcome: 'committed',
    } as ReloadRecord;
    book.observe({ kind: 'reload', record, outcome: { kind: 'committed' } as ReloadOutcome });
  };

  it('stays bounded for each thing, and counts what was left out, when a canary crashes on every change', async () => {
    for (let minute = 0; minute < 60; minute++) {
      reload('file', 2 * minute);
      reload('rollback', 2 * minute + 1);
      await clock.advance(minuteMs);
    }
    for (const key of ['rollback', 'quarantine']) expect(of(key), key).length.within(6, 12);
    expect(of('rollback').at(-1)!.summary).match(
      /^revision \d+ brings back .* \(9 alerts about this were left out before\)$/,
    );
    const before = of('quarantine').length;
    reload('file', 200);
    await clock.advance(10 * minuteMs);
    expect(of('quarantine').length, 'how it stands is told, late').equal(before + 1);
    expect(of('quarantine').at(-1)!.state).equal('resolved');
    await clock.advance(120 * minuteMs);
    expect(clock.waiting, 'and nothing goes on').equal(0);
    reload('rollback', 300);
    expect(of('rollback').at(-1)!.summary).not.contain('left out');
  });

  it('of one thing keeps back nothing about another, and ends with a stop', () => {
    const trouble = (key: string, message: string) =>
      book.observe({ kind: 'trouble', trouble: { key, message, since: '' } });
    for (let i = 0; i < 20; i++) trouble('clients', `full ${i}`);
    trouble('state', 'no room');
    expect(of('clients')).length(6);
    expect(of('state')).length(1);
    rate.stop();
    expect(clock.waiting).equal(0);
  });
});
