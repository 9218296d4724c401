import { expect } from 'chai';
import { hotconf } from '../support/daemon-process.ts';
import { skipBecause } from '../support/skip.ts';
import { quietFor, until } from '../support/until.ts';
import { useDaemon } from '../support/use-daemon.ts';

describe('views', () => {
  const test = useDaemon();
  const views = {
    default: {},
    web: { include: ['features.**', 'llm.*'], exclude: ['llm.admin'], mayReload: false },
    db: { mayReload: true, include: ['database'], mode: '0600' },
  };
  const edit = (settings: object) => test().scratch.write('secrets/app.json', JSON.stringify(settings));
  const first = { database: { url: 'url-1' }, llm: { key: 'key-1', admin: 'admin-1' } };
  const start = async () => {
    test().options.views = views;
    test().scratch.write('secrets/app.yaml', '{}\n');
    edit(first);
    return test().start();
  };
  const view = (name: string, options = {}) =>
    test().connect({ socket: test().scratch.path(`run/${name}.sock`), name: `of-${name}`, ...options });

  it('show each program its own part and no more', async () => {
    await start();
    const [all, web, db] = [await view('default'), await view('web'), await view('db')];
    expect(all.settings).deep.include({ llm: first.llm, features: { beta: false } });
    expect(web.settings).deep.equal({ features: { beta: false }, llm: { key: 'key-1' } });
    expect(db.settings).deep.equal({ database: { url: 'url-1', poolSize: 5 } });
  });

  it('send nothing of a change outside', async () => {
    await start();
    const [all, web, db] = [await view('default'), await view('web'), await view('db')];
    const heard: number[] = [];
    web.on('change', ({ revision }) => heard.push(revision));
    edit({ ...first, database: { url: 'url-2' } });
    await until('the others have it', () => all.snapshot.revision === 2 && db.snapshot.revision === 2);
    await quietFor(50);
    expect(heard).deep.equal([]);
    expect(web.snapshot.revision).equal(1);
    const status = test().daemon!.reports.status();
    expect(status.views.map(({ name, revision }) => [name, revision])).deep.equal([
      ['default', 2],
      ['web', 1],
      ['db', 2],
    ]);
    expect(status.subscribers.find(({ view: of }) => of === 'web')).include({ state: 'current', revision: 1 });
    // Its own number goes on where the others are.
    edit({ ...first, database: { url: 'url-2' }, llm: { key: 'key-2', admin: 'admin-2' } });
    await until('it has its own change', () => web.settings.llm.key === 'key-2');
    expect(web.snapshot).deep.include({ revision: 3, changed: ['llm.key'], removed: [] });
  });

  it('name no path outside, in what changed or is wrong', async () => {
    await start();
    const web = await view('web');
    edit({ database: { url: 'url-2' }, llm: { key: 'key-2', admin: 'admin-2' } });
    await until('it is there', () => web.snapshot.revision === 2);
    expect(web.snapshot.changed).deep.equal(['llm.key']);
    edit({ database: { url: 5 }, llm: { key: 5, admin: 'admin-2' } });
    await until('it is read', () => test().logged('config_reload_failed').length === 1);
    const { valid, issues } = await web.validate();
    expect(valid).equal(false);
    expect(issues).deep.equal([
      { path: 'llm.key', keyword: 'type', message: 'must be string' },
      { path: '', keyword: 'view', message: 'and 1 more that this view does not see' },
    ]);
    const summary = await web.summary();
    expect(summary.configured).deep.equal({ llm: true, features: true });
    expect(summary.secretsLoaded).equal(1);
    expect(JSON.stringify(summary)).not.contain('database').not.contain('secrets/app');
    const db = await view('db', {});
    const answer = await db.reload();
    expect(answer).include({ outcome: 'rejected', code: 'settings_invalid' });
    expect(answer.issues!.map(({ path }) => path)).deep.equal(['database.url', '']);
  });

  it('let their programs do what they say, and are resumed after a restart', async () => {
    await start();
    const web = await view('web');
    expect(await web.reload().catch(({ code }) => code)).equal('not_allowed');
    edit({ ...first, database: { url: 'url-2' } });
    await until('it is committed', () => test().revision === 2);
    const heard: unknown[] = [];
    web.on('change', (snapshot) => heard.push(snapshot));
    await test().daemon!.stop();
    await test().start();
    await until('it is back', () => web.link.kind === 'live');
    // Its settings are what they were, though the number is another one by now.
    expect(web.snapshot.revision).equal(1);
    edit({ ...first, llm: { key: 'key-3', admin: 'x' } });
    await until('it goes on', () => web.settings.llm.key === 'key-3');
    expect(heard).length(1);
  });

  it('are found by the command line by the socket, and redacted like everything', async () => {
    await start();
    const config = ['--config', test().scratch.path('hotconf.yaml')];
    const get = await hotconf(['get', '--json', '--socket', test().scratch.path('run/web.sock'), ...config]);
    expect(JSON.parse(get.stdout)).deep.equal({ features: { beta: false }, llm: { key: '[redacted]' } });
    const status = await hotconf(['status', ...config]);
    expect(status.stdout).match(/^web +1 +0 +.*run\/web\.sock$/m);
  });

  it('need a name where none is the default', async () => {
    test().options.views = { web: {}, db: {} };
    await test().start();
    const got = await hotconf(['get', '--config', test().scratch.path('hotconf.yaml')]);
    expect(got.code).equal(64);
    expect(got.lastWords).contain('run/web.sock').contain('--socket');
    await test().stop();
    test().options.views = { web: {} };
    await test().start();
    expect((await hotconf(['get', 'features', '--config', test().scratch.path('hotconf.yaml')])).stdout).contain(
      'beta',
    );
  });

  it('have sockets of the mode and group that they say, in a folder that lets those groups through', async function () {
    if (process.getuid!() !== 0) return skipBecause(this, 'only root can play several users');
    const { statSync } = await import('node:fs');
    test().options.views = { web: { group: '12345' }, db: { group: 12346, mode: '0620' } };
    test().options.admin = { socket: test().scratch.path('operators/admin.sock') };
    await test().start();
    const about = (name: string) => {
      const { mode, gid } = statSync(test().scratch.path('run', name));
      return [(mode & 0o7777).toString(8), gid];
    };
    expect(about('web.sock')).deep.equal(['660', 12345]);
    expect(about('db.sock')).deep.equal(['620', 12346]);
    expect(about('')).deep.equal(['2751', 12345]);
  });
});
