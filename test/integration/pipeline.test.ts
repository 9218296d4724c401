import { renameSync, rmSync } from 'node:fs';
import { expect } from 'chai';
import { askSocket } from '../support/ask-socket.ts';
import { until } from '../support/until.ts';
import { useDaemon } from '../support/use-daemon.ts';

describe('the pipeline, from a file to a program', () => {
  const daemon = useDaemon();

  it('shows a program an edited secret', async () => {
    const config = await (await daemon().start()).connect();
    const url = daemon().canary();
    daemon().scratch.write('secrets/app.yaml', `database: { url: ${url} }\n`);
    await until('the program has it', () => config.settings.database.url === url);
    expect(config.snapshot).include({ revision: 2, cause: 'file' });
    expect(config.snapshot.changed).deep.equal(['database.url']);
    expect(config.settings.database.poolSize).equal(5);
  });

  it('reads a source again on a hint, and never takes a value from it (law 1)', async () => {
    await daemon().start();
    // A writer that is overtaken by a second one: the hint of the first must show the content of the second.
    for (let i = 0; i < 20; i++)
      daemon().scratch.write('secrets/app.yaml', `database: { url: ${'u'.repeat(3 + i)} }\n`);
    const config = await daemon().connect();
    await until('the last content is there', () => config.settings.database.url === 'u'.repeat(22));
  });

  it('arms the watch before it loads, so that nothing falls between (law 2)', async () => {
    const started = daemon().start();
    const url = daemon().canary();
    daemon().scratch.write('secrets/app.yaml', `database: { url: ${url} }\n`);
    await started;
    const config = await daemon().connect();
    await until('the program has it', () => config.settings.database.url === url);
  });

  it('gives one reload for a burst (law 3)', async () => {
    await daemon().start();
    for (const name of ['a', 'b', 'c', 'd'])
      daemon().scratch.write(`secrets/${name}.yaml`, `features: { ${name}: true }\n`);
    const config = await daemon().connect();
    await until('all of it is there', () => Object.keys(config.settings.features).length === 5);
    expect(daemon().revision).equal(2);
    expect(daemon().logged('config_reload_started')).length(2);
  });

  it('rejects a burst whole when one of its sources cannot be read (law 5)', async () => {
    daemon().scratch.write('more/m.yaml', 'features: { more: true }\n');
    daemon().options.sources = { defaults: './defaults.yaml', files: [{ path: './secrets' }, { path: './more' }] };
    const config = await (await daemon().start()).connect();
    daemon().scratch.write('secrets/app.yaml', 'database: { url: good-one }\n');
    daemon().scratch.write('more/m.yaml', 'features: { more: [\n');
    const end = await daemon().reloaded(2);
    expect(end).include({ event: 'config_reload_failed', code: 'source_malformed' });
    expect(config.snapshot.revision).equal(1);
    // The bad source stays bad; it must not hold up the other one.
    daemon().scratch.write('secrets/app.yaml', 'database: { url: better-one }\n');
    await until('the other source goes on', () => config.settings.database.url === 'better-one');
    expect(config.settings.features.more).equal(true);
    expect(daemon().daemon!.reports.status().state).deep.include({ kind: 'stale' });
    daemon().scratch.write('more/m.yaml', 'features: { more: false }\n');
    await until('it recovers', () => config.settings.features.more === false);
    expect(daemon().daemon!.reports.status().state.kind).equal('ready');
    expect(
      daemon()
        .logged('source_recovered')
        .map(({ sourceId }) => sourceId),
    ).deep.equal(['files:./secrets', 'files:./more']);
  });

  it('tries again what the schema refused when another file completes it', async () => {
    const config = await (await daemon().start()).connect();
    daemon().scratch.write('secrets/a.yaml', 'features: { ready: soon }\n');
    expect(await daemon().reloaded(2)).include({ code: 'settings_invalid' });
    // A later name wins, so this one mends what the first broke.
    daemon().scratch.write('secrets/b.yaml', 'features: { ready: true }\n');
    await until('both are in', () => config.settings.features.ready === true);
    expect(daemon().daemon!.reports.status().state.kind).equal('ready');
  });

  it('lets a good file of a folder through while another of it stays invalid', async () => {
    const config = await (await daemon().start()).connect();
    daemon().scratch.write('secrets/a.yaml', 'features: { broken: yes-it-is }\n');
    expect(await daemon().reloaded(2)).include({ code: 'settings_invalid' });
    daemon().scratch.write('secrets/b.yaml', 'features: { fine: true }\n');
    await until('the good one is in', () => config.settings.features.fine === true);
    expect(config.settings.features).not.property('broken');
    expect(daemon().daemon!.reports.status().state.kind).equal('stale');
  });

  it('commits nothing for equal settings (law 8)', async () => {
    await daemon().start();
    daemon().scratch.write('secrets/b.yaml', 'database: { poolSize: 5 }\n');
    expect(await daemon().reloaded(2)).include({ event: 'config_reload_completed', outcome: 'unchanged', revision: 1 });
  });

  it('counts revisions by one and goes on after a restart (law 9)', async () => {
    await daemon().start();
    for (let revision = 2; revision <= 4; revision++) {
      daemon().scratch.write('secrets/app.yaml', `database: { url: revision-${revision} }\n`);
      await until(`revision ${revision}`, () => daemon().revision === revision);
    }
    const { epoch } = daemon().daemon!.reports.summary();
    await daemon().stop();
    await daemon().start();
    expect(daemon().daemon!.reports.summary()).include({ epoch, revision: 4 });
    await daemon().stop();
    daemon().scratch.write('secrets/app.yaml', 'database: { url: changed-while-away }\n');
    await daemon().start();
    expect(daemon().daemon!.reports.summary()).include({ epoch, revision: 5 });
  });

  it('starts a new epoch when the state folder is gone or damaged', async () => {
    await daemon().start();
    const { epoch } = daemon().daemon!.reports.summary();
    await daemon().stop();
    daemon().scratch.write('state/state.db', 'this is no database, and long enough to look at'.repeat(100));
    await daemon().start();
    expect(daemon().daemon!.reports.summary().epoch).not.equal(epoch);
    expect(daemon().revision).equal(1);
    await daemon().stop();
    rmSync(daemon().scratch.path('state'), { recursive: true });
    await daemon().start();
    expect(daemon().daemon!.reports.summary().epoch).not.equal(epoch);
  });

  it('converts the text of the environment as the schema says, and lets the process win over its files', async () => {
    daemon().scratch.write('.env', 'APP_DATABASE__POOL_SIZE=7\nAPP_FEATURES__BETA=true\n');
    daemon().options.sources = {
      ...(daemon().options.sources as object),
      env: { prefix: 'APP_', files: ['./.env'], map: { PGURL: 'database.url' } },
    };
    daemon().env = { APP_DATABASE__POOL_SIZE: '9', PGURL: 'from-the-map', HOME: '/root' };
    const config = await (await daemon().start()).connect();
    expect(config.settings).deep.equal({ database: { url: 'from-the-map', poolSize: 9 }, features: { beta: true } });
    daemon().scratch.write('.env', 'APP_FEATURES__BETA=false\n');
    await until('the .env file is watched', () => config.settings.features.beta === false);
    expect(config.snapshot.cause).equal('env');
    daemon().scratch.write('.env', 'APP_FEATURES__BETA=maybe\n');
    const end = await daemon().reloaded(3);
    expect(end).include({ code: 'source_not_convertible' });
    expect(end.message).contain('APP_FEATURES__BETA is not a boolean').not.contain('maybe');
  });

  it('keeps the operator waiting for nothing but the reload, and lets a second one join', async () => {
    await daemon().start();
    const running = daemon().daemon!;
    const [first, second] = await Promise.all([
      running.reload({ cause: 'operator' }),
      running.reload({ cause: 'operator' }),
    ]);
    expect(first).equal(second);
    expect(daemon().logged('config_reload_started')).length(2);
  });

  it("rejects an operator's reload of a bad source each time, however often it is asked", async () => {
    daemon().env = { CONFIG_HOT_RELOAD: 'off' };
    const config = await (await daemon().start()).connect();
    daemon().scratch.write('secrets/app.yaml', 'database: { url: 5 }\n');
    for (let i = 0; i < 2; i++)
      expect(await config.reload()).include({ outcome: 'rejected', code: 'settings_invalid' });
  });

  it('accepts what is gone only when an operator reloads', async () => {
    daemon().scratch.write('secrets/extra.yaml', 'features: { extra: true }\n');
    const config = await (await daemon().start()).connect();
    rmSync(daemon().scratch.path('secrets/extra.yaml'));
    expect(await daemon().reloaded(2)).include({ code: 'source_missing' });
    expect(config.settings.features.extra).equal(true);
    // A program may ask for a reload, but not decide about a loss.
    expect(await config.reload()).include({ outcome: 'rejected', code: 'source_missing' });
    expect(daemon().daemon!.reports.history()[0]).include({ cause: 'client', by: 'test' });
    const reason = `meant, as ${daemon().canaries[0]} said`;
    expect((await daemon().daemon!.reload({ cause: 'operator', reason })).kind).equal('committed');
    await until('it is gone', () => !Object.hasOwn(config.settings.features, 'extra'));
    expect(daemon().daemon!.reports.status().state.kind).equal('ready');
    expect(daemon().daemon!.reports.history()[0]).include({ cause: 'operator', reason: 'meant, as [redacted] said' });
  });

  it('serves a good file that changed together with a bad one as soon as anything else goes through', async () => {
    const config = await (await daemon().start()).connect();
    daemon().scratch.write('secrets/app.yaml', 'database: { url: rotated }\n');
    daemon().scratch.write('secrets/bad.yaml', 'features: [\n');
    expect(await daemon().reloaded(2)).include({ code: 'source_malformed' });
    expect(config.snapshot.revision).equal(1);
    daemon().scratch.write('defaults.yaml', 'database: { poolSize: 6 }\n');
    await until(
      'both are served',
      () => config.settings.database.url === 'rotated' && config.settings.database.poolSize === 6,
    );
  });

  it('clears the staleness of a file that was mended while another one of its folder stays bad', async () => {
    daemon().options.sources = {
      defaults: './defaults.yaml',
      files: [{ path: './secrets' }, { path: './one.yaml' }, { path: './two.yaml' }],
    };
    for (const name of ['one', 'two']) daemon().scratch.write(`${name}.yaml`, `features: { ${name}: true }\n`);
    const config = await (await daemon().start()).connect();
    const stale = () =>
      daemon()
        .daemon!.reports.status()
        .state.sources.map(({ id }) => id);
    for (const name of ['one', 'two']) daemon().scratch.write(`${name}.yaml`, `features: { ${name}: wrong-type }\n`);
    await until('both are stale', () => stale().length === 2);
    daemon().scratch.write('two.yaml', 'features: { two: false }\n');
    await until('it is served', () => config.settings.features.two === false);
    expect(stale()).deep.equal(['files:./one.yaml']);
  });

  it('takes another epoch when its numbers cannot be saved, for a restart would give them again', async () => {
    const config = await (await daemon().start()).connect();
    const { epoch } = config.snapshot;
    const { StateStore } = await import('../../daemon/ops/state-store.ts');
    const save = StateStore.prototype.saveCommit;
    StateStore.prototype.saveCommit = () => {
      throw new Error('the disk is full');
    };
    try {
      daemon().scratch.write('secrets/app.yaml', 'database: { url: unsaved-1 }\n');
      await until('it is served', () => config.settings.database.url === 'unsaved-1');
    } finally {
      StateStore.prototype.saveCommit = save;
    }
    expect(config.snapshot.epoch).not.equal(epoch);
    await daemon().daemon!.stop();
    daemon().scratch.write('secrets/app.yaml', 'database: { url: after-the-restart }\n');
    await daemon().start();
    await until('the program follows', () => config.settings.database.url === 'after-the-restart');
    expect(config.snapshot).include({ epoch, revision: 2 });
  });

  it('takes a file renamed within its folder as no loss', async () => {
    await daemon().start();
    renameSync(daemon().scratch.path('secrets/app.yaml'), daemon().scratch.path('secrets/renamed.yaml'));
    await until(
      'the new name gives the value',
      () => daemon().daemon!.reports.explain('database.url').from.name === 'secrets/renamed.yaml',
    );
    expect(daemon().revision).equal(1);
    await until('nothing is stale', () => daemon().daemon!.reports.status().state.kind === 'ready');
  });

  it('does not watch when hot reload is off, and still reloads when an operator asks', async () => {
    daemon().env = { CONFIG_HOT_RELOAD: 'false' };
    const config = await (await daemon().start()).connect();
    expect((await config.summary()).hotReloadEnabled).equal(false);
    daemon().scratch.write('secrets/app.yaml', 'database: { url: only-by-hand }\n');
    expect(
      daemon()
        .daemon!.reports.status()
        .sources.map(({ watch }) => watch),
    ).deep.equal(['off', 'off']);
    await config.reload();
    expect(config.settings.database.url).equal('only-by-hand');
    expect(daemon().logged('config_reload_started')).length(2);
  });

  it('tells what a reload would do without doing it', async () => {
    daemon().env = { CONFIG_HOT_RELOAD: 'off' };
    const config = await (await daemon().start()).connect();
    const dryRun = () => askSocket(daemon().scratch.path('run/admin.sock'), '/admin/reload-config', { dryRun: true });
    const issues = [{ path: 'database.url', keyword: 'type', message: 'must be string' }];
    daemon().scratch.write('secrets/app.yaml', 'database: { url: 5 }\n');
    expect((await dryRun()).body).deep.include({ valid: false, issues });
    daemon().scratch.write('secrets/app.yaml', 'database: { url: fine }\n');
    expect((await dryRun()).body).deep.include({ valid: true, issues: [] });
    expect(config.snapshot.revision).equal(1);
  });

  it('tells a program what would become of what was read last, and reads nothing for that', async () => {
    daemon().env = { CONFIG_HOT_RELOAD: 'off' };
    const config = await (await daemon().start()).connect();
    daemon().scratch.write('secrets/app.yaml', 'database: { url: 5 }\n');
    expect(await config.validate()).deep.equal({ valid: true, issues: [] });
    await config.reload();
    const issues = [{ path: 'database.url', keyword: 'type', message: 'must be string' }];
    expect(await config.validate()).deep.equal({ valid: false, issues });
    daemon().scratch.write('secrets/app.yaml', 'database: { url: \n');
    await config.reload();
    const { valid, issues: unread } = await config.validate();
    expect([valid, unread.length]).deep.equal([false, 1]);
    daemon().scratch.write('secrets/app.yaml', 'database: { url: fine }\n');
    await config.reload();
    expect(await config.validate()).deep.equal({ valid: true, issues: [] });
  });

  it('rejects settings over limits.snapshotSize before anybody sees them', async () => {
    daemon().options.limits = { snapshotSize: '64KiB' };
    const config = await (await daemon().start()).connect();
    daemon().scratch.write('secrets/big.yaml', `extra: "${'x'.repeat(70_000)}"\n`);
    expect(await daemon().reloaded(2)).include({ code: 'snapshot_too_large' });
    expect(config.snapshot.revision).equal(1);
  });
});
