import { expect } from 'chai';
import type { Config, Verify } from '../../client/types.ts';
import type { SnapshotFrame } from '../../schemas/wire.ts';
import { hotconf } from '../support/daemon-process.ts';
import { RawProgram } from '../support/raw-program.ts';
import { until } from '../support/until.ts';
import { type App, useDaemon } from '../support/use-daemon.ts';

describe('a candidate', () => {
  const test = useDaemon();
  const edit = (url: string) => test().scratch.write('secrets/app.yaml', `database: { url: ${url} }\n`);
  const start = async (rollout = {}) => {
    test().options.rollout = rollout;
    edit('url-1');
    return test().start();
  };
  const failures = () => test().logged('config_reload_failed');
  const good: Verify<App> = ({ database }) => {
    if (database.url.startsWith('bad')) throw new Error(`cannot log in with ${database.url}`);
  };

  it('is tried by every program that wants to, and then committed: each tries it once', async () => {
    await start();
    const tried: string[] = [];
    const config = await test().connect({ verify: ({ database }) => tried.push(database.url) });
    const plain = await test().connect();
    edit('url-2');
    await until('all have it', () => [config, plain].every(({ settings }) => settings.database.url === 'url-2'));
    expect(tried).deep.equal(['url-1', 'url-2']);
    expect(test().revision).equal(2);
  });

  it('is refused for all when one rejects it, who is named with the reason and without the value', async () => {
    await start();
    const [plain, strict] = [await test().connect(), await test().connect({ name: 'strict', verify: good })];
    edit('bad-url');
    await until('it is refused', () => failures().length === 1);
    expect(failures()[0]).include({ code: 'subscriber_rejected', revision: 1 });
    expect(failures()[0]!.message)
      .contain(`strict (pid ${process.pid}) rejects it: cannot log in with [redacted]`)
      .not.contain('bad-url');
    expect([plain, strict].map(({ snapshot }) => snapshot.revision)).deep.equal([1, 1]);
    const [record] = test().daemon!.reports.history();
    expect(record!.error).deep.include({
      code: 'subscriber_rejected',
      rejectedBy: [
        {
          name: 'strict',
          pid: process.pid,
          code: 'verify_failed',
          paths: ['database.url'],
          message: 'cannot log in with [redacted]',
        },
      ],
    });
    expect(
      test()
        .daemon!.reports.status()
        .sources.find(({ id }) => id === 'files:./secrets'),
    ).include({ state: 'stale' });
    edit('url-3');
    await until('the next one is taken', () => plain.settings.database.url === 'url-3');
    expect(test().revision).equal(2);
  });

  it('is refused when a program does not say anything in time, and its verify is told to stop', async () => {
    await start({ verifyTimeout: '300ms' });
    let aborted = false;
    const verify: Verify<App> = ({ database }, signal) => {
      if (database.url !== 'bad-hang') return;
      signal.addEventListener('abort', () => {
        aborted = true;
      });
      return new Promise(() => {});
    };
    const slow = await test().connect({ name: 'slow', verify });
    edit('bad-hang');
    await until('it is refused', () => failures().length === 1);
    expect(failures()[0]!.message).match(/slow \(pid \d+\) (does not say in time|rejects it: it took longer)/);
    await until('verify was aborted', () => aborted);
    edit('url-2');
    await until('it goes on', () => slow.settings.database.url === 'url-2');
  });

  it('is not tried by programs whose view it does not change', async () => {
    test().options.views = { default: {}, web: { include: ['features'] } };
    await start();
    const tried: unknown[] = [];
    await test().connect({ socket: test().scratch.path('run/web.sock'), verify: () => tried.push(1) });
    edit('url-2');
    await until('it is committed', () => test().revision === 2);
    expect(tried).length(1);
  });

  it('comes as the change alone, and whole to a program that cannot apply that', async () => {
    await start();
    const raw = new RawProgram(test().socket).hello({ capabilities: ['patch', 'verify'] });
    const { nonce } = await raw.next<SnapshotFrame>('snapshot');
    raw.send('ack', { nonce, revision: 1, applyMs: 0 });
    edit('url-2');
    const asked = await raw.next<Record<string, unknown>>('verify');
    expect(asked).include({ base: 1, revision: 2 }).not.property('settings');
    const answer = { nonce: asked.nonce, revision: 2 };
    raw.send('nack', { ...answer, code: 'base_missing', paths: [], message: '' });
    expect(await raw.next('verify', 2)).nested.include({ nonce: asked.nonce, 'settings.database.url': 'url-2' });
    expect(test().revision).equal(1);
    raw.send('ack', { ...answer, applyMs: 0 });
    expect(await raw.next('patch')).include({ base: 1, revision: 2 });
    raw.socket.destroy();
  });

  it('that was refused passes together with what completes it', async () => {
    await start();
    const fits: Verify<App> = ({ database, features }) => {
      if (database.url === 'url-2' && features.beta !== true) throw new Error('needs beta');
    };
    const config = await test().connect({ verify: fits });
    edit('url-2');
    await until('it is refused', () => failures().length === 1);
    test().scratch.write('defaults.yaml', 'database: { poolSize: 5 }\nfeatures: { beta: true }\n');
    await until('both are there', () => config.settings.database.url === 'url-2');
    expect(config.settings.features.beta).equal(true);
  });

  it('that a program refuses for its own reasons is tried again by itself', async function () {
    this.timeout(30_000);
    await start();
    let isReachable = false;
    const config: Config<App> = await test().connect({
      verify: ({ database }) => {
        if (database.url === 'url-2' && !isReachable) throw new Error('the database is away');
      },
    });
    edit('url-2');
    await until('it is refused', () => failures().length === 1);
    isReachable = true;
    await until('it is there', () => config.settings.database.url === 'url-2', 20_000);
  });

  it('can be looked at: what would change, what the schema and the programs say; nothing is applied', async () => {
    test().options.hotReload = false;
    await start();
    const plain = await test().connect();
    const dryRun = () => hotconf(['reload', '--dry-run', '--config', test().scratch.path('hotconf.yaml')]);
    const strict = await test().connect({ name: 'strict', verify: good });
    edit('url-2');
    const fine = await dryRun();
    expect(fine.stdout).equal('would change\n  ~ database.url\ntried by 1 programs: 0 reject it\n');
    expect(fine.code).equal(0);
    edit('bad-url');
    const bad = await dryRun();
    expect(bad.code).equal(1);
    expect(bad.stdout)
      .contain('would be rejected\n  ~ database.url\n')
      .contain(`strict (pid ${process.pid}) rejects it: cannot log in with [redacted]`)
      .contain('tried by 1 programs: 1 reject it');
    const live = await hotconf(['validate', '--live', '--json', '--config', test().scratch.path('hotconf.yaml')]);
    expect(live.code).equal(65);
    expect(JSON.parse(live.stdout)).nested.include({
      valid: false,
      'trial.asked': 1,
      'trial.rejectedBy[0].name': 'strict',
    });
    // A program's own question asks no other program.
    expect(await strict.validate()).include({ valid: true });
    expect(strict.snapshot.revision).equal(1);
    expect(plain.settings.database.url).equal('url-1');
  });
});
