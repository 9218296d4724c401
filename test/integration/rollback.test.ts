import { expect } from 'chai';
import { hotconf } from '../support/daemon-process.ts';
import { until } from '../support/until.ts';
import { useDaemon } from '../support/use-daemon.ts';

describe('a rollback', () => {
  const test = useDaemon();
  const edit = (url: string) => test().scratch.write('secrets/app.yaml', `database: { url: ${url} }\n`);
  const command = (...args: string[]) => hotconf([...args, '--config', test().scratch.path('hotconf.yaml')]);
  /** Revisions 1 to 3, of url-1 to url-3. */
  const start = async () => {
    edit('url-1');
    await test().start();
    for (const revision of [2, 3]) {
      edit(`url-${revision}`);
      await until(`revision ${revision}`, () => test().revision === revision);
    }
    return test().connect();
  };

  it('is a new revision with old content, which stays whatever the sources say, until it is unpinned', async () => {
    const config = await start();
    const done = await command('rollback', '1', '--reason', 'too slow');
    expect(done).include({ code: 0 });
    expect(done.stdout).match(/^committed: revision 4\npinned to the content of revision 1/);
    expect(config.settings.database.url).equal('url-1');
    expect(config.snapshot).include({ revision: 4, cause: 'rollback' });
    edit('url-5');
    await until('the edit is seen', () =>
      test()
        .daemon!.reports.history()
        .some(({ pinned, cause }) => pinned === 4 && cause === 'file'),
    );
    expect(config.settings.database.url).equal('url-1');
    const status = test().daemon!.reports.status();
    expect(status.pinned).include({ revision: 4, to: 1, by: `uid ${process.getuid!()}`, reason: 'too slow' });
    expect(status.state).include({ kind: 'degraded' });
    expect((await command('status')).stdout)
      .contain('PINNED to the content of revision 1')
      .contain('(too slow)');
    expect((await command('history')).stdout).match(/revision 4 +committed +rollback to 1 by uid \d+ "too slow"/);
    expect((await config.summary()).revision).equal(4);
    const unpinned = await command('unpin');
    expect(unpinned.stdout).match(/^committed: revision 5\n {2}~ database\.url/);
    expect(config.settings.database.url).equal('url-5');
    expect(test().daemon!.reports.status().state.kind).equal('ready');
  });

  it('ends by an operator’s reload, and not by a program’s', async () => {
    const config = await start();
    await command('rollback', '2');
    expect(await config.reload()).include({ outcome: 'unchanged', revision: 4 });
    expect(config.settings.database.url).equal('url-2');
    expect((await command('reload')).stdout).match(/^committed: revision 5/);
    expect(config.settings.database.url).equal('url-3');
    expect(test().daemon!.reports.summary().pinned).equal(null);
  });

  it('does not end by a reload that is rejected', async () => {
    const config = await start();
    await command('rollback', '2');
    test().scratch.write('secrets/app.yaml', 'database: { url: 5 }\n');
    expect((await command('reload')).code).equal(1);
    expect(test().daemon!.reports.summary().pinned).include({ to: 2 });
    expect(config.settings.database.url).equal('url-2');
  });

  it('of what is served already pins it', async () => {
    await start();
    expect((await command('rollback', '3')).stdout).match(/^unchanged: revision 3\npinned/);
    edit('url-9');
    await until('the edit is seen', () => test().daemon!.reports.history()[0]!.pinned === 3);
    expect(test().revision).equal(3);
  });

  it('is refused when another revision is served than is expected, or when it is gone', async () => {
    await start();
    const conflict = await command('rollback', '1', '--expect', '2');
    expect(conflict.code).equal(1);
    expect(conflict.stdout + conflict.stderr).contain('revision 3 is served, not 2');
    const gone = await command('rollback', '77');
    expect(gone).include({ code: 1 });
    expect(gone.lastWords).contain('revision 77 is not kept');
    for (const bad of ['0', 'x', '-1', '1.5']) expect((await command('rollback', '--', bad)).code, bad).equal(64);
    expect(test().revision).equal(3);
    expect(test().daemon!.reports.summary().pinned).equal(null);
  });

  it('keeps as many revisions as the options say', async () => {
    test().options.lastKnownGood = { keep: 2 };
    await start();
    expect((await command('rollback', '1')).lastWords).contain('is not kept');
    expect((await command('rollback', '2')).code).equal(0);
  });
});

describe('a reload that would remove most of the settings', () => {
  const test = useDaemon();
  const command = (...args: string[]) => hotconf([...args, '--config', test().scratch.path('hotconf.yaml')]);
  const many = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`key${i}`, i]));

  it('is refused until an operator says that it is meant', async () => {
    test().scratch.write('secrets/many.json', JSON.stringify({ extra: many }));
    await test().start();
    const config = await test().connect();
    test().scratch.write('secrets/many.json', '{}');
    await until('it is refused', () => test().logged('config_reload_failed').length === 1);
    expect(test().logged('config_reload_failed')[0]!.message).contain(
      'it would remove 10 of 13 settings, over reload.maxRemoved of 50% (run `hotconf reload --accept-missing` if that is meant)',
    );
    const plain = await command('reload');
    expect(plain.code).equal(1);
    expect(plain.stdout).contain('extra.key0: would be removed');
    expect(config.get('extra' as never)).deep.equal(many);
    const meant = await command('reload', '--accept-missing', '--reason', 'moved away');
    expect(meant.code).equal(0);
    expect(meant.stdout).contain('  - extra.key0');
    expect(config.get('extra' as never)).equal(undefined);
  });

  it('goes through up to the share that the options say', async () => {
    test().options.reload = { maxRemoved: '100%' };
    test().scratch.write('secrets/many.json', JSON.stringify({ extra: many }));
    await test().start();
    const config = await test().connect();
    test().scratch.write('secrets/many.json', '{}');
    await until('it is gone', () => config.get('extra' as never) === undefined);
  });
});
