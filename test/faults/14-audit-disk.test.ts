import { existsSync, statSync } from 'node:fs';
import { expect } from 'chai';
import { verifyChain } from '../../daemon/observe/audit-chain.ts';
import { readKeyRing, readOrMakeKey } from '../../daemon/ops/key-ring.ts';
import { askSocket } from '../support/ask-socket.ts';
import { fastClock } from '../support/fast-clock.ts';
import { skipBecause } from '../support/skip.ts';
import { SmallDisk } from '../support/small-disk.ts';
import { until } from '../support/until.ts';
import { useDaemon } from '../support/use-daemon.ts';

describe('fault 14: no room for the audit log', () => {
  const disks: SmallDisk[] = [];
  afterEach(async () => {
    await test().stop();
    for (const disk of disks.splice(0)) disk.unmount();
  });
  const test = useDaemon();
  const state = () => test().daemon!.reports.status().state;
  const post = (route: string, body: object = {}) => askSocket(test().scratch.path('run/admin.sock'), route, body);
  const edit = (url: string) => test().scratch.write('secrets/app.yaml', `database: { url: ${url} }\n`);

  it('14: operators are refused with 507, automatic reloads go on with an alert, and all is well when there is room', async function () {
    this.timeout(40_000);
    const disk = SmallDisk.mount(test().scratch.path('state'), '400k');
    if (!disk) return skipBecause(this, 'this machine allows no mount');
    disks.push(disk);
    test().clock = fastClock(8);
    test().options.alerts = {
      command: ['/bin/sh', '-c', `echo $HOTCONF_ALERT_KEY >> ${test().scratch.path('alerts')}`],
    };
    // A key that could not be written whole is not there, and is made when there is room.
    disk.fill();
    const keyFile = test().scratch.path('state/test.key');
    expect(() => readOrMakeKey(keyFile)).throw('cannot be made: ENOSPC');
    expect(existsSync(keyFile)).equal(false);
    disk.free();
    expect(readOrMakeKey(keyFile)).length(32);
    await test().start();
    const config = await test().connect();
    disk.fill();
    // Until what is left of the last page is written, too.
    await until('it is told', async () => {
      await post('/admin/reload-config');
      return state().reasons.some((reason) => reason.startsWith('the audit log cannot be written: ENOSPC'));
    });
    for (const [route, body] of [
      ['/admin/reload-config', {}],
      ['/admin/rollback', { to: 1 }],
      ['/admin/unpin', {}],
    ] as const) {
      const refused = await post(route, body);
      expect([refused.status, refused.body.code], route).deep.equal([507, 'audit_unwritable']);
    }
    const { revision } = test();
    edit('while-full');
    await until('the edit is served', () => config.settings.database.url === 'while-full');
    expect(test().revision).equal(revision + 1);
    await until('somebody is alerted', () => test().scratch.read('alerts').includes('audit'));
    disk.free();
    await until('it is well', () => !state().reasons.some((reason) => reason.includes('audit')), 15_000);
    expect((await post('/admin/reload-config')).status).equal(200);
    await test().stop();
    const [key] = readKeyRing(test().scratch.path('state/audit.key'));
    const report = verifyChain(test().scratch.path('state'), key!);
    expect(report, JSON.stringify(report)).not.property('broken');
    expect(test().scratch.read('state/audit.jsonl'), 'what happened meanwhile is there').contain(
      '"keys":["database.url"]',
    );
  });

  it('14: a disk that is filled later does not keep operators from a reload or a rollback: there is a reserve', async function () {
    this.timeout(40_000);
    const disk = SmallDisk.mount(test().scratch.path('state'), '12m');
    if (!disk) return skipBecause(this, 'this machine allows no mount');
    disks.push(disk);
    await test().start();
    await until('it is taken', () => test().scratch.read('state/audit.reserve').length === 1024 * 1024);
    edit('url-2');
    await until('it is served', () => test().revision === 2);
    disk.fill(4 * 1024 * 1024);
    for (let i = 0; i < 100; i++) {
      const reason = `${i}`.padEnd(400, '.');
      expect((await post('/admin/reload-config', { reason })).status).equal(200);
    }
    expect((await post('/admin/rollback', { to: 1 })).status).equal(200);
    expect(statSync(test().scratch.path('state/audit.reserve')).size).lessThan(1024 * 1024);
    disk.free();
    await post('/admin/reload-config');
    expect(statSync(test().scratch.path('state/audit.reserve')).size, 'and is taken again').equal(1024 * 1024);
    await test().stop();
    const [key] = readKeyRing(test().scratch.path('state/audit.key'));
    expect(verifyChain(test().scratch.path('state'), key!)).not.property('broken');
    expect(
      test()
        .scratch.read('state/audit.jsonl')
        .match(/"outcome":"asked"/g),
    ).length(102);
  });
});
