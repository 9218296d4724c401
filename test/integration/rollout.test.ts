import { expect } from 'chai';
import type { Config } from '../../client/types.ts';
import { quietFor, until } from '../support/until.ts';
import { type App, useDaemon } from '../support/use-daemon.ts';

describe('a staged rollout', () => {
  const test = useDaemon();
  const edit = (url: string, more = '') =>
    test().scratch.write('secrets/app.yaml', `database: { url: ${url} }\n${more}`);
  const start = async (canary: object, more: object = {}, programs = 4) => {
    test().options.rollout = { strategy: 'canary', canary, ...more };
    edit('url-1');
    await test().start();
    const names = Array.from({ length: programs }, (_, i) => `p${i}`);
    const configs: Config<App>[] = [];
    for (const name of names) configs.push(await test().connect({ name }));
    return configs;
  };
  const urls = (configs: readonly Config<App>[]) => configs.map(({ settings }) => settings.database.url);
  const refuse = (config: Config<App>, bad: string) =>
    config.watch('database.url', (url) => {
      if (url === bad) throw new Error('this will not do');
    });

  it('goes to some first, bakes, and then goes to the rest', async () => {
    const configs = await start({ share: '25%', bake: '600ms' });
    edit('url-2');
    await until('the first has it', () => configs[0]!.settings.database.url === 'url-2');
    expect(urls(configs)).deep.equal(['url-2', 'url-1', 'url-1', 'url-1']);
    expect(test().daemon!.reports.status().rollout).deep.include({ revision: 2, stable: 1, first: ['p0'] });
    await until('all have it', () => urls(configs).every((url) => url === 'url-2'));
    expect(configs.map(({ snapshot }) => snapshot.revision)).deep.equal([2, 2, 2, 2]);
    expect(test().daemon!.reports.status().rollout).equal(null);
    expect(test().logged('rollout_staged')).length(1);
    expect(test().logged('rollout_completed')).length(1);
  });

  it('is withdrawn when one of the first rejects it: a new revision with what all ran before', async () => {
    const configs = await start({ share: '50%', bake: '10s' });
    refuse(configs[1]!, 'bad-url');
    const heard: string[] = [];
    configs[0]!.watch('database.url', (url) => heard.push(url));
    edit('bad-url');
    await until('it is withdrawn', () => test().revision === 3);
    await until('all are back', () => configs[0]!.snapshot.revision === 3);
    expect(heard).deep.equal(['bad-url', 'url-1']);
    expect(urls(configs)).deep.equal(['url-1', 'url-1', 'url-1', 'url-1']);
    // The rest never heard of it.
    expect(configs.slice(2).map(({ snapshot }) => snapshot.revision)).deep.equal([1, 1]);
    const [withdrawn, staged] = test().daemon!.reports.history();
    expect(withdrawn).include({ revision: 3, outcome: 'committed', cause: 'rollback', to: 1 });
    expect(withdrawn!.reason).match(/^revision 2: p1 \(pid \d+\) rejects it: this will not do$/);
    expect(staged).include({ revision: 2, outcome: 'committed', cause: 'file' });
    const source = test()
      .daemon!.reports.status()
      .sources.find(({ id }) => id === 'files:./secrets')!;
    expect(source.problem!.message).contain('its newest values were withdrawn: p1');
    expect(test().logged('snapshot_rolled_back')).length(1);
    const clients = test().daemon!.reports.clients();
    await until('all are current', () =>
      test()
        .daemon!.reports.clients()
        .every(({ state }) => state === 'current'),
    );
    expect(clients.every(({ canary }) => !canary)).equal(true);
  });

  it('is not tried again until the source says something else, or an operator wants it', async () => {
    const configs = await start({ share: '25%', bake: '300ms' });
    const stop = refuse(configs[0]!, 'bad-url');
    edit('bad-url');
    await until('it is withdrawn', () => test().revision === 3);
    // The same content, written again, together with what else changes.
    edit('bad-url', '# again\n');
    await until('it is seen', () => test().daemon!.reports.history()[0]!.outcome === 'unchanged');
    expect(test().revision).equal(3);
    // An unrelated change goes through without it.
    test().scratch.write('defaults.yaml', 'database: { poolSize: 6 }\nfeatures: { beta: false }\n');
    await until('the unrelated change is there', () => configs[0]!.settings.database.poolSize === 6);
    stop();
    const outcome = await test().daemon!.reload({ cause: 'operator' });
    expect(outcome.kind).equal('committed');
    await until('all have it', () => urls(configs).every((url) => url === 'bad-url'));
  });

  it('counts a failure that is reported while it bakes, and a program that is lost', async () => {
    const configs = await start({ share: '25%', bake: '10s' });
    edit('url-2');
    await until('the first has it', () => configs[0]!.settings.database.url === 'url-2');
    configs[0]!.reportFailure('pool_exhausted', 'no connection to url-2 any more');
    await until('it is withdrawn', () => test().revision === 3);
    expect(test().daemon!.reports.history()[0]!.reason).contain('no connection to [redacted] any more');
    await until('it is back', () => configs[0]!.settings.database.url === 'url-1');
    expect(test().daemon!.reports.clients()[0]!.failure).include({ code: 'pool_exhausted' });
    configs[0]!.reportRecovery('pool_exhausted');
    await until('it has recovered', () => test().daemon!.reports.clients()[0]!.failure === null);
  });

  it('lets as many reject it as the options say', async () => {
    const configs = await start({ share: '50%', bake: '300ms', maxRejected: 1 });
    refuse(configs[0]!, 'url-2');
    edit('url-2');
    await until('the rest has it', () => configs[3]!.settings.database.url === 'url-2');
    expect(urls(configs)).deep.equal(['url-1', 'url-2', 'url-2', 'url-2']);
  });

  it('begins with the programs that the options name', async () => {
    const configs = await start({ share: '0%', subscribers: ['p2'], bake: '10s' });
    edit('url-2');
    await until('it has it', () => configs[2]!.settings.database.url === 'url-2');
    expect(urls(configs)).deep.equal(['url-1', 'url-1', 'url-2', 'url-1']);
  });

  it('lets what is urgent go to all at once, and with it what bakes', async () => {
    const configs = await start({ share: '25%', bake: '10s' }, { urgent: ['llm.**'] });
    edit('url-2');
    await until('the first has it', () => configs[0]!.settings.database.url === 'url-2');
    edit('url-2', 'llm: { key: revoked }\n');
    await until('all have it', () => configs.every(({ settings }) => settings.llm?.key === 'revoked'));
    expect(urls(configs)).deep.equal(['url-2', 'url-2', 'url-2', 'url-2']);
  });

  it('goes to the same programs when something newer comes while it bakes, and bakes anew', async () => {
    const configs = await start({ share: '25%', bake: '500ms' });
    edit('url-2');
    await until('the first has it', () => configs[0]!.settings.database.url === 'url-2');
    edit('url-3');
    await until('the first has that', () => configs[0]!.settings.database.url === 'url-3');
    expect(urls(configs).slice(1)).deep.equal(['url-1', 'url-1', 'url-1']);
    await until('all have it', () => urls(configs).every((url) => url === 'url-3'));
  });

  it('shows newcomers what the rest runs, and a program that comes back what it had', async () => {
    const [first] = await start({ share: '50%', bake: '1500ms' }, {}, 2);
    edit('url-2');
    await until('the first has it', () => first!.settings.database.url === 'url-2');
    const newcomer = await test().connect({ name: 'new' });
    expect(newcomer.settings.database.url).equal('url-1');
    await first!.close();
    await until('another one tries it', () => test().daemon!.reports.status().rollout?.first[0] === 'p1');
    await until('all have it', () => newcomer.settings.database.url === 'url-2');
  });

  it('goes to all at once when nobody is concerned', async () => {
    await start({ share: '25%', bake: '10s' }, {}, 0);
    edit('url-2');
    await until('it is committed', () => test().revision === 2);
    expect(test().daemon!.reports.status().rollout).equal(null);
    expect((await test().connect()).settings.database.url).equal('url-2');
  });

  it('is overtaken by an operator’s rollback', async () => {
    const configs = await start({ share: '25%', bake: '10s' });
    edit('url-2');
    await until('the first has it', () => configs[0]!.settings.database.url === 'url-2');
    const { daemon } = test();
    await daemon!.rollback({ to: 1 }, { by: 'operator' });
    await until('the first is back', () => configs[0]!.settings.database.url === 'url-1');
    expect(daemon!.reports.status().rollout).equal(null);
    await quietFor(50);
    expect(urls(configs)).deep.equal(['url-1', 'url-1', 'url-1', 'url-1']);
  });
});
