import { mkdirSync, rmSync } from 'node:fs';
import { expect } from 'chai';
import { connect } from '../../client/connect.ts';
import type { Config } from '../../client/types.ts';
import { hotconf, useProcesses } from '../support/daemon-process.ts';
import { exampleOptions, layExample } from '../support/example.ts';
import { useScratch } from '../support/scratch.ts';
import { until } from '../support/until.ts';
import type { App } from '../support/use-daemon.ts';

describe('what an operator sees and does', function () {
  this.timeout(30_000);
  const scratch = useScratch();
  const run = useProcesses();
  const configs: Config<App>[] = [];
  const config = () => scratch().path('hotconf.yaml');
  const ask = (...args: string[]) => hotconf([...args, '--config', config()]);
  const edit = (url: string | number) => scratch().write('secrets/app.yaml', `database: { url: ${url} }\n`);
  const start = (options = {}) => run(['start', '--config', layExample(scratch(), options)]).ready();
  type Daemon = Awaited<ReturnType<typeof start>>;
  const completed = (daemon: Daemon, count: number) =>
    until(`${count} reloads`, () => daemon.logged('config_reload_completed').length === count);
  const failed = (daemon: Daemon, count: number) =>
    until(`${count} rejections`, () => daemon.logged('config_reload_failed').length === count);
  afterEach(() => Promise.all(configs.splice(0).map((program) => program.close())));

  it('rollback: a program that refuses the old content prevents it with exit code 1; --force serves it all the same', async () => {
    const daemon = await start();
    edit('value-1');
    await completed(daemon, 2);
    const verify = ({ database }: App) => {
      if (database.url === 'value-0') throw new Error('the old database is gone');
    };
    const program = await connect<App>({ socket: scratch().path('run/default.sock'), name: 'billing', verify });
    configs.push(program);
    const refused = await ask('rollback', '1');
    expect(refused.code).equal(1);
    expect(refused.stdout + refused.stderr).contain('billing');
    expect(JSON.parse((await ask('status', '--json')).stdout)).include({ revision: 2 });
    const forced = await ask('rollback', '1', '--force');
    expect(JSON.parse((await ask('status', '--json')).stdout)).include({ revision: 3 });
    expect(forced.code, 'a program rejects what is served now').equal(1);
    expect(program.settings.database.url, 'and keeps what it had').equal('value-1');
  });

  it('history: a revision stays marked as kept after unchanged and rejected reloads, and is marked once', async () => {
    const daemon = await start();
    edit('value-1');
    await completed(daemon, 2);
    expect((await ask('reload')).stdout).equal('unchanged: revision 2\n');
    edit(5);
    await failed(daemon, 1);
    edit('value-2');
    await completed(daemon, 4);
    const records: { revision: number; outcome: string; kept?: boolean }[] = JSON.parse(
      (await ask('history', '--json')).stdout,
    );
    expect(records.filter(({ revision }) => revision === 2).map(({ outcome }) => outcome)).include.members([
      'unchanged',
      'rejected',
    ]);
    const kept = records.filter((record) => record.kept && record.revision === 2);
    expect(kept.map(({ outcome }) => outcome)).deep.equal(['committed']);
    expect((await ask('rollback', '2')).code).equal(0);
  });

  it('status: says since when a source has its present problem, not an earlier one', async () => {
    const daemon = await start();
    const since = async () => JSON.parse((await ask('status', '--json')).stdout).sources.at(-1).problem.since;
    edit(5);
    await failed(daemon, 1);
    const first = await since();
    scratch().write('secrets/app.yaml', 'database: 7\n');
    await failed(daemon, 2);
    expect(Date.parse(await since())).greaterThan(Date.parse(first));
  });

  it('status: shortens a long list of what a source reads', async () => {
    const files = ['a', 'b', 'c', 'd', 'e'].map((name) => scratch().write(`${name}.env`, `APP_EXTRA__${name}=1\n`));
    await start({ sources: { files: [{ path: './secrets' }], env: { prefix: 'APP_', files } } });
    expect((await ask('status')).stdout).match(/a\.env, \S+b\.env, \S+c\.env and \d more/);
  });

  it('log: a rejection is one record, which says that its source is stale', async () => {
    const daemon = await start();
    edit(5);
    await failed(daemon, 1);
    expect((await ask('status')).stdout).contain('stale');
    expect(daemon.logged('config_reload_failed')[0]).deep.include({ stale: true, staleSources: ['files:./secrets'] });
    expect(daemon.logged('source_stale')).deep.equal([]);
    edit('value-1');
    await until('it recovers', () => daemon.logged('source_recovered').length === 1);
  });

  it('log: names no watched places while hot reload is off', async () => {
    const daemon = await start({ hotReload: false });
    await until('its places are logged', () => daemon.logged('daemon_places').length === 1);
    expect(daemon.logged('daemon_places')[0]).not.property('watching');
    expect(daemon.logged('daemon_places')[0]!.reading).include('./secrets');
  });

  it('watch: shows every rejection from its first line on, also with an operator socket in a folder of its own', async () => {
    mkdirSync(scratch().path('operators'), { mode: 0o700 });
    const daemon = await start({ admin: { ...exampleOptions.admin, socket: scratch().path('operators/ops.sock') } });
    const socket = scratch().path('run/default.sock');
    const named = run(['watch', '--json', '--socket', socket, '--config', config()]);
    const found = run(['watch', '--json', '--config', config()]);
    await until('both watch', () => [named, found].every(({ stderr }) => stderr.includes('watching from')));
    edit(5);
    await failed(daemon, 1);
    for (const watch of [named, found])
      await until('it shows the rejection', () => watch.stdout.includes('"kind":"rejected"'));
  });

  it('start: waits for a source that comes within startWait, and serves it', async () => {
    const file = layExample(scratch(), { reload: { startWait: '1m', rescan: '1s' } });
    rmSync(scratch().path('secrets'), { recursive: true });
    const daemon = run(['start', '--config', file]);
    await until('it waits', () => daemon.logged('start_waiting').length > 0);
    edit('late');
    await daemon.ready();
    const program = await connect<App>({ socket: scratch().path('run/default.sock') });
    configs.push(program);
    expect(program.settings.database.url).equal('late');
  });

  it('start, validate and doctor: say what to do about a file that was never there', async () => {
    const file = layExample(scratch(), { sources: { files: [{ path: './none.yaml' }] } });
    const all = await Promise.all(
      ['start', 'validate', 'doctor'].map((command) => hotconf([command, '--config', file])),
    );
    for (const { stdout, stderr } of all)
      expect(stdout + stderr)
        .contain('put it there, or say `optional: true`')
        .not.contain('put it back');
  });

  it('options: one path, or a list with dashes, is asked for where an object stands', async () => {
    const file = layExample(scratch(), { sources: { files: { path: './secrets' } } });
    const { lastWords, code } = await hotconf(['start', '--config', file]);
    expect(lastWords).contain("sources.files: must be a path or a list, each entry after a '-'");
    expect(code).equal(65);
  });
});
