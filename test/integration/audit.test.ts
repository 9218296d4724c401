import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { chainStart, verifyChain } from '../../daemon/observe/audit-chain.ts';
import { linesOf } from '../../daemon/observe/audit-files.ts';
import { AuditLog } from '../../daemon/observe/audit-log.ts';
import { AdminHttp } from '../support/admin-http.ts';
import { hotconf } from '../support/daemon-process.ts';
import { RawProgram } from '../support/raw-program.ts';
import { useScratch } from '../support/scratch.ts';
import { until } from '../support/until.ts';
import { useDaemon } from '../support/use-daemon.ts';

describe('the audit log', () => {
  const test = useDaemon();
  const edit = (url: string) => test().scratch.write('secrets/app.yaml', `database: { url: ${url} }\n`);
  const file = () => test().scratch.path('state/audit.jsonl');
  const programsFile = () => test().scratch.path('state/audit-programs.jsonl');
  const recordsOf = (path: string) => linesOf(readFileSync(path, 'utf8')).map((line) => JSON.parse(line));
  const records = () => recordsOf(file());
  const programs = () => recordsOf(programsFile());
  const verify = (...more: string[]) =>
    hotconf(['audit', 'verify', '--config', test().scratch.path('hotconf.yaml'), ...more]);

  it('has who did what, when, why and how it ended, and no value', async () => {
    const http = await AdminHttp.set(test());
    await test().start();
    const config = await test().connect({ name: 'billing' });
    edit('url-2');
    await until('it has it', () => config.settings.database.url === 'url-2');
    await http.post('/admin/reload-config', { reason: 'a test' });
    await http.post('/admin/rollback', { to: 1, reason: 'too slow' });
    await http.post('/admin/unpin');
    await http.post('/admin/rollback', { to: 99 });
    await http.post('/admin/unpin', {}, { token: http.tokens.viewer });
    new RawProgram(test().socket).send('ping', { revision: 1 });
    await until('all is written', () => programs().some(({ code }) => code === 'hello_expected'));
    await test().stop();
    const found = records().map(({ what, outcome, by }) => `${what} ${outcome}${by ? ` by ${by.name}` : ''}`);
    expect(found).deep.equal([
      'daemon started',
      'reload committed',
      'reload committed',
      'reload asked by the-admin',
      'reload unchanged',
      'reload unchanged by the-admin',
      'rollback asked by the-admin',
      'rollback committed',
      'rollback committed by the-admin',
      'unpin asked by the-admin',
      'reload committed',
      'unpin committed by the-admin',
      'rollback asked by the-admin',
      'rollback failed by the-admin',
      'request refused by the-viewer',
      'daemon stopping',
    ]);
    const [, , change, asked] = records();
    const [connection, ...others] = programs();
    expect(others.map(({ what, outcome }) => `${what} ${outcome}`)).deep.equal(['connection refused']);
    expect(connection).deep.include({ what: 'connection', outcome: 'taken', view: 'default' });
    expect(connection.by).include({ kind: 'program', pid: process.pid, uid: process.getuid!() });
    expect(change).deep.include({ cause: 'file', revision: 2, keys: ['database.url'] });
    expect(asked).include({ reason: 'a test' });
    expect(records().find(({ status }) => status === 403)).include({ why: 'role_too_low' });
  });

  it('is found whole whatever others call themselves, and however much changes at once', async () => {
    await test().start();
    await test().connect({ name: 'line\u2028separator"\n\u0000💥' });
    const many = Array.from({ length: 3_000 }, (_, i) => `  a-setting-with-quite-a-long-name-${i}: true`);
    test().scratch.write('secrets/many.yaml', `features:\n${many.join('\n')}\n`);
    await until('it is written', () => records().some(({ moreKeys }) => moreKeys === 2_500));
    expect((await verify()).code).equal(0);
    // As if it had been killed: what was written last is found again.
    await test().stop();
    await test().start();
    await until('it goes on', () => records().at(-1)?.what === 'reload');
    expect(test().logged('audit_broken')).deep.equal([]);
    expect((await verify()).code).equal(0);
  });

  it('is not washed away by programs that come and go', async () => {
    await test().start();
    for (let i = 0; i < 100; i++) {
      const program = new RawProgram(test().socket).hello();
      await program.next('welcome');
      program.socket.destroy();
    }
    await until('they are gone', () => test().logged('subscriber_left').length === 100);
    expect(programs().filter(({ what }) => what === 'connection')).length(60);
    expect(records().filter(({ what }) => what === 'connection')).deep.equal([]);
    await test().stop();
    const leftOut = programs().at(-1);
    expect([leftOut.what, leftOut.outcome, leftOut.count]).deep.equal(['audit', 'left_out', 40]);
    expect(Object.keys(leftOut.of)[0]).match(/^connection taken uid \d+ view default$/);
  });

  it('is found whole, also while the daemon runs, and the first record that is not is named', async () => {
    await test().start();
    for (const revision of [2, 3, 4]) {
      edit(`url-${revision}`);
      await until(`revision ${revision} is written down`, () =>
        records().some((record) => record.revision === revision),
      );
    }
    const whole = await verify();
    expect([whole.code, whole.stdout]).deep.equal([
      0,
      `whole: ${records().length} records, 1 to ${records().length}\n`,
    ]);
    const text = readFileSync(file(), 'utf8');
    const lines = text.trimEnd().split('\n');
    const cases: readonly [string, string, RegExp][] = [
      ['a changed word', text.replace('"cause":"file"', '"cause":"none"'), /audit\.jsonl:3: was changed/],
      ['a record less', [...lines.slice(0, 1), ...lines.slice(2)].join('\n'), /audit\.jsonl:2: follows 1 and is 3/],
      ['two exchanged', [lines[0], lines[2], lines[1], ...lines.slice(3)].join('\n'), /audit\.jsonl:2: follows 1/],
      ['a line of no record', [lines[0], '{}', ...lines.slice(1)].join('\n'), /audit\.jsonl:2: is no record/],
      ['a cut end', `${lines.slice(0, -1).join('\n')}\n`, /the end was cut off/],
    ];
    for (const [how, changed, words] of cases) {
      writeFileSync(file(), changed);
      const { code, stdout } = await verify();
      expect(code, how).equal(65);
      expect(stdout, how)
        .match(/^broken: /)
        .match(words);
    }
    writeFileSync(file(), text);
    expect(JSON.parse((await verify('--json')).stdout)).include({ valid: true, problem: null });
  });

  it('is verified with a key that is named, where it is not beside it', async () => {
    await test().start();
    await until('it is written', () => records().length > 1);
    await test().stop();
    renameSync(test().scratch.path('state/audit.key'), test().scratch.path('elsewhere.key'));
    const lost = await verify();
    expect(lost.code).equal(66);
    expect(lost.lastWords).contain('--key-file');
    expect((await verify('--key-file', test().scratch.path('elsewhere.key'))).code).equal(0);
  });

  it('goes on after a restart, and tells when its end was cut off meanwhile', async () => {
    await test().start();
    await test().stop();
    const before = records().length;
    await test().start();
    await test().stop();
    expect(verifyChain(test().scratch.path('state'), key()))
      .include({ records: before + 3 })
      .not.property('broken');
    const lines = readFileSync(file(), 'utf8').trimEnd().split('\n');
    writeFileSync(file(), `${lines.slice(0, -2).join('\n')}\n`);
    await test().start();
    await until('it is told', () => test().logged('audit_broken').length > 0);
    expect(test().logged('audit_broken')[0]!.message).contain('its end was cut off');
    expect(test().daemon!.reports.health().reasons).deep.equal(['audit-chain']);
    await test().stop();
    await test().start();
    const { code, stdout } = await verify();
    expect([code, stdout], 'the gap stays visible').deep.equal([
      65,
      `broken: ${file()}:${before + 2}: follows ${before + 1} and is ${before + 4}: records are missing\n`,
    ]);
    await test().stop();
    rmSync(file());
    expect((await verify()).stdout, 'without a daemon, too').contain('the end was cut off');
  });

  const key = () => Buffer.from(readFileSync(test().scratch.path('state/audit.key'), 'utf8'), 'base64');
});

describe('the file of an audit log', () => {
  const scratch = useScratch();
  const key = Buffer.alloc(32, 1);
  const open = (head: { auditHead: { seq: number; hmac: string } }, more = {}) =>
    new AuditLog({ stateDir: scratch().folder, key, head, ...more });

  it('is put aside when it is full, and the chain goes through all files', () => {
    const head = { auditHead: chainStart };
    const log = open(head, { maxBytes: 400, keep: 3 });
    for (let i = 0; i < 20; i++) log.append([{ what: 'a test', i }]);
    log.close();
    const files = readdirSync(scratch().folder).sort();
    expect(files).length(4).contain('audit.jsonl');
    const report = verifyChain(scratch().folder, key);
    expect(report).not.property('broken');
    expect(report.last).deep.equal(head.auditHead);
    expect(report.first).greaterThan(1);
    expect(report.records).equal(20 - report.first + 1);
    const again = open(head);
    expect(again.broken).equal(undefined);
    again.append([{ what: 'more' }]);
    again.close();
    expect(verifyChain(scratch().folder, key)).not.property('broken');
  });

  it('goes on in a new file when somebody has taken its file away, full or not', () => {
    const head = { auditHead: chainStart };
    const log = open(head, { maxBytes: 600 });
    log.append([{ what: 'one' }]);
    renameSync(scratch().path('audit.jsonl'), scratch().path('audit-000000000001.jsonl'));
    log.append([{ what: 'two' }, { what: 'three' }, { what: 'four' }, { what: 'five' }]);
    rmSync(scratch().path('audit.jsonl'));
    log.append([{ what: 'six' }]);
    expect(verifyChain(scratch().folder, key).broken!.why).contain('records are missing');
    log.append([{ what: 'seven' }]);
    log.close();
    expect(readdirSync(scratch().folder)).length(2);
  });

  it('cuts a record off that was written half when the daemon was killed', () => {
    const head = { auditHead: chainStart };
    const log = open(head);
    log.append([{ what: 'one' }, { what: 'two' }]);
    log.close();
    const path = scratch().path('audit.jsonl');
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, `${text}{"seq":3,"what":"thr`);
    const again = open(head);
    expect(again.broken).equal(undefined);
    again.append([{ what: 'three' }]);
    again.close();
    expect(verifyChain(scratch().folder, key)).include({ records: 3 }).not.property('broken');
  });

  it('takes a record for good that was written before its number could be noted', () => {
    const head = { auditHead: chainStart };
    const log = open({
      get auditHead() {
        return chainStart;
      },
      set auditHead(_link) {
        throw new Error('no room');
      },
    });
    log.append([{ what: 'one' }]);
    log.close();
    const again = open(head);
    expect(again.broken).equal(undefined);
    again.append([{ what: 'two' }]);
    again.close();
    expect(verifyChain(scratch().folder, key)).include({ records: 2 }).not.property('broken');
  });

  it('says when its last record is another one', () => {
    const head = { auditHead: chainStart };
    const log = open(head);
    log.append([{ what: 'one' }]);
    log.close();
    expect(open({ auditHead: { seq: 1, hmac: 'f'.repeat(64) } }).broken).contain('another one');
  });
});
