import { expect } from 'chai';
import * as hotconf from '../../client/index.ts';
import { until } from '../support/until.ts';
import { type App, useDaemon } from '../support/use-daemon.ts';

describe('the functions over one shared connection', () => {
  afterEach(() => hotconf.closeConfig());
  const daemon = useDaemon();
  const init = () => hotconf.initConfig<App>({ socket: daemon().socket, name: 'functions' });

  it('share one connection, read the newest settings, and ask the daemon', async () => {
    await daemon().start();
    const [one, two] = await Promise.all([init(), init()]);
    expect(one).equal(two);
    expect(daemon().daemon!.reports.clients()).length(1);
    daemon().scratch.write('secrets/app.yaml', 'database: { url: by-function }\n');
    await until('it is there', () => hotconf.getConfig<App>().database.url === 'by-function');
    expect(await hotconf.reloadConfig({ reason: 'test' })).include({ outcome: 'unchanged' });
    expect(await hotconf.validateConfiguration()).deep.equal({ valid: true, issues: [] });
    expect(await hotconf.getConfigSummary()).include({ environment: 'production', revision: 2, secretsLoaded: 1 });
    await hotconf.closeConfig();
    expect(() => hotconf.getConfig())
      .throw(hotconf.ClientError)
      .include({ code: 'usage' });
  });

  it('can be called again after a failure', async () => {
    const error = await hotconf.initConfig({ socket: daemon().socket, timeoutMs: 100 }).catch((reason) => reason);
    expect(error).instanceOf(hotconf.ClientError).include({ code: 'timeout' });
    expect(() => hotconf.getConfig()).throw('call initConfig()');
    await daemon().start();
    expect((await init()).link.kind).equal('live');
    await hotconf.closeConfig();
  });

  it("lays the process's environment over the settings, and takes it off the wire", async () => {
    await daemon().start();
    process.env.HCTEST_DATABASE__POOL_SIZE = '77';
    try {
      const config = await daemon().connect({ env: { prefix: 'HCTEST_' } });
      expect(config.settings.database.poolSize).equal(77);
      daemon().scratch.write('secrets/app.yaml', 'database: { url: laid-over, poolSize: 3 }\n');
      await until('the rest follows', () => config.settings.database.url === 'laid-over');
      expect(config.settings.database.poolSize).equal(77);
      expect(config.snapshot.changed).deep.equal(['database.url']);
    } finally {
      delete process.env.HCTEST_DATABASE__POOL_SIZE;
    }
  });
});
