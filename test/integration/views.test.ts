import { expect } from 'chai';
import type { SnapshotFrame } from '../../schemas/wire.ts';
import { expectNoCanary } from '../support/canary.ts';
import { hotconf } from '../support/daemon-process.ts';
import { RawProgram } from '../support/raw-program.ts';
import { skipBecause } from '../support/skip.ts';
import { quietFor, until } from '../support/until.ts';
import { useDaemon } from '../support/use-daemon.ts';

describe('views', () => {
  const test = useDaemon();
  const views = {
    default: {},
    web: { include: ['features.**', 'llm.*'], exclude: ['llm.admin'], mayReload: false },
    db: { include: ['database'], mode: '0600', mayReload: true },
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
    // Not even how many problems there are outside.
    expect(issues).deep.equal([{ path: 'llm.key', keyword: 'type', message: 'must be string' }]);
    const summary = await web.summary();
    expect(summary.configured).deep.equal({ llm: true, features: true });
    expect(summary.secretsLoaded).equal(1);
    expect(JSON.stringify(summary)).not.contain('database').not.contain('secrets/app');
    const db = await view('db', {});
    const answer = await db.reload();
    expect(answer).include({ outcome: 'rejected', code: 'settings_invalid' });
    expect(answer.message).equal('database.url: must be string');
    expect(answer.issues!.map(({ path }) => path)).deep.equal(['database.url']);
    const failed = test().logged('config_reload_failed').length;
    edit({ database: { url: 'url-2' }, llm: { key: 5 } });
    await until('it is read', () => test().logged('config_reload_failed').length > failed);
    const hidden = await db.validate();
    expect(hidden.issues.map(({ keyword, message }) => [keyword, message])).deep.equal([
      ['view', 'the new settings are not accepted, for a reason outside of this view'],
    ]);
  });

  // Fault 62.
  it('show nothing that is excluded in lists: in settings, patches and answers', async () => {
    test().options.views = { web: { include: ['**'], exclude: ['extra.*.password'], mayReload: true } };
    const hidden: string[] = [];
    const list = (...hosts: string[]) =>
      hosts.map((host) => {
        hidden.push(test().canary());
        return { host, password: hidden.at(-1) };
      });
    edit({ ...first, extra: list('h1') });
    await test().start();
    const web = await view('web');
    const raw = new RawProgram(test().scratch.path('run/web.sock')).hello({ capabilities: ['patch'] });
    const { nonce } = await raw.next<SnapshotFrame>('snapshot');
    raw.send('ack', { nonce, revision: 1, applyMs: 0 });
    const commit = async (revision: number, settings: object) => {
      edit(settings);
      await until('it is committed', () => test().revision === revision);
    };
    // Only what is hidden changes.
    await commit(2, { ...first, extra: list('h1') });
    expect(await web.reload()).include({ outcome: 'unchanged', revision: 1 });
    await commit(3, { ...first, extra: list('h1', 'h2') });
    expect(await raw.next('patch')).deep.include({
      base: 1,
      changed: ['extra'],
      operations: [{ op: 'add', path: '/extra', value: [{ host: 'h1' }, { host: 'h2' }] }],
    });
    await until('it is there', () => web.snapshot.revision === 3);
    expect((web.settings as unknown as { extra: object }).extra).deep.equal([{ host: 'h1' }, { host: 'h2' }]);
    expectNoCanary('what the program got', JSON.stringify([raw.frames, web.settings]), hidden);
    raw.socket.destroy();
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
