import { readdirSync, statSync } from 'node:fs';
import { expect } from 'chai';
import { AdminHttp } from '../support/admin-http.ts';
import { hotconf } from '../support/daemon-process.ts';
import { RawProgram } from '../support/raw-program.ts';
import { until } from '../support/until.ts';
import { useDaemon } from '../support/use-daemon.ts';

const hostile = ['one', 'two', 'three', 'four'];
const roundsOfEach = 40;
const paths = Array.from({ length: 60 }, (_, i) => `features.${String(i).padEnd(930, 'x')}`);

describe('fault 60: a hostile program of a limited view, and what is written down', () => {
  const test = useDaemon();
  const stateBytes = (pattern: RegExp) => {
    const folder = test().scratch.path('state');
    const files = readdirSync(folder).filter((name) => pattern.test(name));
    return files.reduce((sum, name) => sum + statSync(`${folder}/${name}`).size, 0);
  };
  const audit = async (...args: string[]) =>
    (await hotconf(['audit', ...args, '--config', test().scratch.path('hotconf.yaml')])).stdout;

  /** Rejects, reports, asks and comes again as fast as it is answered. */
  async function beHostile(socket: string, name: string): Promise<void> {
    for (let rounds = 0; rounds < roundsOfEach; ) {
      const program = new RawProgram(socket).hello({ name: `${name}-${rounds}` });
      for (let i = 1; rounds < roundsOfEach; i++) {
        await until('it is served or turned away', () => program.isClosed || program.of('snapshot').length >= i);
        if (program.isClosed) break;
        const { nonce, revision } = program.of('snapshot').at(-1)!.data as { nonce: string; revision: number };
        program.send('nack', { nonce, revision, code: 'no', paths, message: 'm'.repeat(900) });
        program.send('report', { code: 'x', message: `${i}` });
        program.send('request', { id: `${i}`, kind: 'reload', reason: 'r'.repeat(500) });
        await until('it is answered', () => program.isClosed || program.of('response').length >= i);
        program.send('resync', { reason: 'again' });
        rounds++;
      }
      program.socket.destroy();
    }
  }

  it("60: leaves operators' records and the history whole, and costs a bounded share of the audit log", async function () {
    this.timeout(60_000);
    test().options.views = { default: {}, web: { include: ['features.**'], mayReload: true } };
    const http = await AdminHttp.set(test());
    await test().start();
    expect((await http.post('/admin/reload-config', { reason: 'before it' })).status).equal(200);
    const before = stateBytes(/^audit\.jsonl$/);
    await Promise.all(hostile.map((name) => beHostile(test().scratch.path('run/web.sock'), name)));
    expect((await http.post('/admin/reload-config', { reason: 'after it' })).status).equal(200);
    const history = test().daemon!.reports.history();
    expect(history.filter(({ cause }) => cause === 'start')).length(1);
    expect(history.filter(({ cause }) => cause === 'operator').map(({ reason }) => reason)).deep.equal([
      'after it',
      'before it',
    ]);
    const counted = history.reduce((sum, { programReloads = 0 }) => sum + programReloads, 0);
    expect(counted, 'reloads of programs that changed nothing').greaterThan(20);
    expect(history.length, 'reloads of programs without a change are counted').lessThan(10);
    await test().stop();

    expect(await audit('verify')).match(/^whole: \d+ records, 1 to \d+\nwhole: \d+ records, 1 to \d+ of programs\n$/);
    expect(stateBytes(/^audit(-\d+)?\.jsonl$/) - before, 'bytes of operators').lessThan(5_000);
    expect(stateBytes(/^audit-programs.*\.jsonl$/), 'bytes of programs').lessThan(400_000);
    const shown = await audit('--json', '--limit', '5000');
    const records = shown
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(records.map(({ at }) => at)).deep.equal(records.map(({ at }) => at).sort());
    const of = (series: string, what: string, outcome: string) =>
      records.filter((record) => record.series === series && record.what === what && record.outcome === outcome);
    expect(of('operators', 'reload', 'asked').map(({ reason }) => reason)).deep.equal(['before it', 'after it']);
    const rejections = of('programs', 'snapshot', 'rejected');
    expect(rejections).length(60);
    expect(rejections[0].keys).length(10);
    expect(rejections[0].keys[0]).length(200);
    expect(rejections[0]).include({ moreItems: 50 });
    const leftOut = of('programs', 'audit', 'left_out');
    expect(leftOut).length(1);
    expect(leftOut[0].of[`snapshot rejected uid ${process.getuid!()} view web`]).equal(
      hostile.length * roundsOfEach - 60,
    );
    const text = await audit();
    expect(text)
      .match(/#\d+ {2}reload asked {2}by the-admin {2}"after it"\n/)
      .match(/p\d+ {2}audit left_out {2}\d+ records\n/);
  });
});
