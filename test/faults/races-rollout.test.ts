import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { expect } from 'chai';
import type { Config } from '../../client/types.ts';
import { RawProgram } from '../support/raw-program.ts';
import { until } from '../support/until.ts';
import { type App, useDaemon } from '../support/use-daemon.ts';

describe('interleavings of a staged rollout', () => {
  const test = useDaemon();
  const edit = (url: string) => test().scratch.write('secrets/app.yaml', `database: { url: ${url} }\n`);
  const editMore = (key: string) => test().scratch.write('secrets/llm.yaml', `llm: { key: ${key} }\n`);
  const status = () => test().daemon!.reports.status();
  const keep = () => {
    test().options.lastKnownGood = { keyFile: './lkg.key' };
    test().scratch.write('lkg.key', `${randomBytes(32).toString('base64')}\n`);
  };
  const start = async (names: readonly string[], canary: object, more: object = {}) => {
    test().options.rollout = { strategy: 'canary', canary, ...more };
    edit('url-1');
    editMore('key-1');
    await test().start();
    const configs: Config<App>[] = [];
    for (const name of names) configs.push(await test().connect({ name }));
    return configs;
  };
  const urls = (configs: readonly Config<App>[]) => configs.map(({ settings }) => settings.database.url);
  /** Stops and starts the daemon, and leaves the programs alone. */
  const restart = async () => {
    await test().daemon!.stop();
    await test().start();
  };

  it('a stop while a revision bakes gives it to nobody else, and the file that is kept is the stable one', async () => {
    keep();
    const configs = await start(['p1', 'p2', 'p3'], { share: '10%', bake: '60s' });
    edit('url-2');
    await until('the first has it', () => configs[0]!.settings.database.url === 'url-2');
    await test().daemon!.stop();
    expect(urls(configs)).deep.equal(['url-2', 'url-1', 'url-1']);
    expect(test().logged('rollout_staged')).length(1);
    expect(readdirSync(test().scratch.path('state/last-known-good'))).length(1);
    await test().start();
    await until('all are back', () => configs.every(({ link }) => link.kind === 'live'));
    expect(urls(configs).slice(1)).deep.equal(['url-1', 'url-1']);
  });

  it('a restart stages again what was baking, and gives it to nobody else', async () => {
    keep();
    const configs = await start(['p1', 'p2', 'p3'], { share: '10%', bake: '60s' });
    edit('url-2');
    await until('the first has it', () => configs[0]!.settings.database.url === 'url-2');
    const heard = new Set<string>();
    for (const config of configs.slice(1)) config.on('change', ({ settings }) => heard.add(settings.database.url));
    await restart();
    await until('it is staged again', () => status().rollout?.first.length === 1);
    await until('all are back', () => configs.every(({ link }) => link.kind === 'live'));
    await until('the first of them has it', () => urls(configs).includes('url-2'));
    expect([...urls(configs)].sort()).deep.equal(['url-1', 'url-1', 'url-2']);
    expect(heard.size).lessThan(2);
  });

  it('the first program that comes tries what was committed while none of those that are expected was there', async () => {
    keep();
    await start(['p1'], { share: '10%', bake: '1s' });
    await test().daemon!.stop();
    edit('url-2');
    const p1 = await test()
      .start()
      .then(() => test().connect({ name: 'p1' }));
    await until('it tries it', () => status().rollout?.first[0] === 'p1' || p1.settings.database.url === 'url-2');
    await until('it has baked', () => status().rollout === null);
    expect(p1.settings.database.url).equal('url-2');
  });

  it('a failure that is reported while another change is verified withdraws what was staged, and not the other change', async () => {
    const [p1, p2] = await start(['p1', 'p2'], { subscribers: ['p1'], share: '0%', bake: '60s' });
    const verdict = Promise.withResolvers<void>();
    let asked = false;
    await test().connect({
      name: 'slow',
      verify: ({ llm }) => {
        asked ||= llm.key === 'key-2';
        return llm.key === 'key-2' ? verdict.promise : undefined;
      },
    });
    edit('url-2');
    await until('the first has it', () => p1!.settings.database.url === 'url-2');
    editMore('key-2');
    await until('the other change is tried', () => asked);
    p1!.reportFailure('pool', 'cannot reach it');
    await until('it is heard', () => status().held.some(({ kind }) => kind === 'withdrawn'));
    verdict.resolve();
    await until('it is back', () => p1!.settings.database.url === 'url-1');
    await until('the other change is there', () => p1!.settings.llm.key === 'key-2');
    expect(p2!.settings.database.url).equal('url-1');
    expect(status().held).length(1);
  });

  it('a rejection counts in a view whose content is from an earlier revision than what is staged', async () => {
    test().options.views = { default: {}, web: { include: ['llm.**'] } };
    test().options.rollout = {
      strategy: 'canary',
      canary: { subscribers: ['w1', 'web/w1'], share: '0%', bake: '60s' },
    };
    edit('url-1');
    editMore('key-1');
    await test().start();
    const socket = test().scratch.path('run/web.sock');
    const verdict = Promise.withResolvers<void>();
    const [w1, w2] = [await test().connect({ name: 'w1', socket }), await test().connect({ name: 'w2', socket })];
    await test().connect({ name: 'w1' });
    w1.watch('llm.key', async (key) => {
      if (key !== 'key-2') return;
      await verdict.promise;
      throw new Error('not this one');
    });
    editMore('key-2');
    await until('it is staged', () => status().rollout?.revision === 2);
    edit('url-2');
    await until('what the view does not see is staged on top', () => status().rollout?.revision === 3);
    verdict.resolve();
    await until('it is withdrawn', () => status().held.some(({ kind }) => kind === 'withdrawn'));
    await until('it is back', () => w1.settings.llm.key === 'key-1');
    expect(w2.settings.llm.key).equal('key-1');
  });

  it('what is urgent goes to all without what bakes, and programs that run that keep it', async () => {
    const configs = await start(['p1', 'p2', 'p3'], { share: '10%', bake: '60s' }, { urgent: ['llm.key'] });
    edit('url-2');
    await until('the first has it', () => configs[0]!.settings.database.url === 'url-2');
    const heard: string[] = [];
    configs[0]!.on('change', ({ settings }) => heard.push(settings.database.url));
    editMore('key-2');
    await until('all have the urgent change', () => configs.every(({ settings }) => settings.llm.key === 'key-2'));
    expect(urls(configs)).deep.equal(['url-2', 'url-1', 'url-1']);
    expect(heard).deep.equal(['url-2']);
    expect(status().rollout).include({ revision: 4, stable: 3 });
    expect(
      test()
        .daemon!.reports.history()
        .slice(0, 2)
        .map(({ revision }) => revision),
    ).deep.equal([4, 3]);
  });

  it('an innocent part is served as soon as the guilty one has changed', async () => {
    const [p1] = await start(['p1', 'p2'], { subscribers: ['p1'], share: '0%', bake: '200ms' });
    p1!.watch('database.url', (url) => {
      if (url === 'bad-url') throw new Error('no');
    });
    edit('bad-url');
    editMore('key-2');
    await until('it is withdrawn', () => status().held.length === 1);
    edit('url-3');
    await until('both are there', () => p1!.settings.database.url === 'url-3');
    expect(p1!.settings.llm.key).equal('key-2');
    await until('it goes to all', () => status().rollout === null);
    expect(status().state.kind).equal('ready');
  });

  it('a rollback to the revision that bakes brings it to all, and pins it', async () => {
    const configs = await start(['p1', 'p2'], { share: '10%', bake: '60s' });
    edit('url-2');
    await until('the first has it', () => configs[0]!.settings.database.url === 'url-2');
    await test().daemon!.rollback({ to: 2 }, { by: 'operator' });
    await until('all have it', () => urls(configs).every((url) => url === 'url-2'));
    expect(status()).deep.include({ rollout: null }).nested.include({ 'pinned.revision': 2 });
  });

  it('a program that was ahead gets what is staged now when it is back, and a rollback reaches it', async () => {
    const [, p2] = await start(['p0', 'p2'], { subscribers: ['raw'], share: '0%', bake: '60s' });
    const raw = new RawProgram(test().socket).hello({ name: 'raw' });
    const take = async (nth: number) => {
      const { nonce, revision, epoch, digest } = await raw.next<Record<string, unknown>>('snapshot', nth);
      raw.send('ack', { nonce, revision, applyMs: 0 });
      return { revision, epoch, digest };
    };
    await take(1);
    edit('url-2');
    const last = await take(2);
    edit('url-3');
    await raw.next('snapshot', 3);
    // Its connection is lost, which the daemon does not know yet.
    const back = new RawProgram(test().socket).hello({ name: 'raw', last });
    const frame = await back.next<Record<string, unknown>>('snapshot');
    expect(frame).nested.include({ revision: 3, 'settings.database.url': 'url-3' });
    back.send('ack', { nonce: frame.nonce, revision: frame.revision, applyMs: 0 });
    await test().daemon!.rollback({ to: 1 }, { by: 'operator' });
    expect(await back.next('snapshot', 2)).nested.include({ revision: 4, 'settings.database.url': 'url-1' });
    expect(p2!.settings.database.url).equal('url-1');
    for (const { socket } of [raw, back]) socket.destroy();
  });

  it('a program with a higher revision than there is gets a new epoch, once, and is shown as what it is', async () => {
    await test().start();
    const other = await test().connect();
    const epoch = other.snapshot.epoch;
    const last = { epoch, revision: 7, digest: '0'.repeat(16) };
    const ahead = new RawProgram(test().socket).hello({ name: 'ahead', last });
    ahead.send('ack', { nonce: (await ahead.next<{ nonce: string }>('snapshot')).nonce, revision: 7, applyMs: 0 });
    const frames = () => ahead.of('snapshot').map(({ data }) => data);
    await until('it gets a snapshot of another epoch', () => frames().some((frame) => frame.epoch !== epoch));
    await until('the others go on', () => other.snapshot.epoch !== epoch);
    const renewed = other.snapshot.epoch;
    // A liar has no second one.
    const liar = new RawProgram(test().socket).hello({ name: 'liar', last: { ...last, epoch: renewed } });
    await liar.next('snapshot');
    liar.send('ack', { nonce: liar.of('snapshot')[0]!.data.nonce, revision: 7, applyMs: 0 });
    await until('it is noticed', () => test().logged('subscriber_ahead').length > 1);
    expect(other.snapshot.epoch).equal(renewed);
    const shown = status().subscribers.find(({ name }) => name === 'liar');
    expect(shown).include({ state: 'waiting', revision: 0 });
    ahead.socket.destroy();
    liar.socket.destroy();
  });
});
