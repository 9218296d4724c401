import { expect } from 'chai';
import { AuditAnchor } from '../../../daemon/observe/audit-anchor.ts';
import { readAnchor } from '../../../daemon/observe/audit-head.ts';
import { AuditQuota, type LeftOut } from '../../../daemon/observe/audit-quota.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('the quota of audit records', () => {
  const reports: LeftOut[] = [];
  afterEach(() => reports.splice(0));
  const make = (clock: FakeClock, ofAll = 600) =>
    new AuditQuota({ clock, aMinute: 3, ofAll, onLeftOut: (leftOut) => reports.push(leftOut) });

  it('lets so many of each kind through a minute, and reports the rest once, also when nothing more comes', async () => {
    const clock = new FakeClock();
    const quota = make(clock);
    const taken = ['a', 'a', 'a', 'a', 'a', 'b'].filter((kind) => quota.take(kind));
    expect(taken).deep.equal(['a', 'a', 'a', 'b']);
    await clock.advance(60_000);
    expect(reports).deep.equal([{ count: 2, of: { a: 2 } }]);
    expect(quota.take('a'), 'a new minute').equal(true);
    await clock.advance(120_000);
    expect(reports, 'nothing was left out').length(1);
    expect(clock.waiting).equal(0);
  });

  it('is one of all kinds, too, names ten kinds at most, and reports what it has at a stop', () => {
    const clock = new FakeClock();
    const quota = make(clock, 5);
    const taken = Array.from({ length: 50 }, (_, i) => quota.take(`kind ${i}`)).filter(Boolean);
    expect(taken).length(5);
    quota.close();
    expect(reports[0]!.count).equal(45);
    expect(Object.keys(reports[0]!.of)).length(10);
    expect(clock.waiting).equal(0);
    quota.close();
    expect(reports).length(1);
  });
});

describe('the anchor of the audit log', () => {
  it('is logged every hour and at a stop, as a line that can be checked against', async () => {
    const clock = new FakeClock();
    const lines: [string, Record<string, unknown>][] = [];
    let text: string | undefined;
    const anchor = new AuditAnchor({
      anchor: () => text,
      clock,
      log: (_level, _event, message, fields) => lines.push([message, fields as Record<string, unknown>]),
    });
    anchor.start();
    await clock.advance(3_600_000);
    expect(lines, 'nothing is written yet').deep.equal([]);
    text = `41:${'a'.repeat(64)},0:`;
    await clock.advance(2 * 3_600_000);
    expect(lines).length(2);
    anchor.stop();
    expect(lines).length(3);
    expect(clock.waiting).equal(0);
    for (const [message, fields] of lines)
      for (const line of [message, JSON.stringify({ timestamp: '2026-01-01T00:00:01,5Z', ...fields }), `x ${text}`])
        expect(readAnchor(line)).deep.equal({
          operators: { seq: 41, hmac: 'a'.repeat(64) },
          programs: { seq: 0, hmac: '' },
        });
    for (const none of ['', 'none', '41:aa,0:', `x41${text}`.slice(0, 40)])
      expect(readAnchor(none), none).equal(undefined);
  });
});
