import { expect } from 'chai';
import { ClientError } from '../../../client/errors.ts';
import { createMemoryConfig } from '../../../client/memory-config.ts';
import { settle } from '../../support/fake-clock.ts';

describe('a config in memory', () => {
  const failure = (task: () => unknown): Promise<unknown> =>
    (async () => task())().then(
      () => undefined,
      (error) => error,
    );

  it('commits nothing when the settings are equal', async () => {
    const config = createMemoryConfig({ a: { b: [1] } });
    let changes = 0;
    config.on('change', () => void changes++);
    await config.set({ a: { b: [1] } });
    expect(config.snapshot.revision).equal(1);
    await config.set({ a: { b: [2] } });
    expect(config.snapshot.revision).equal(2);
    expect(changes).equal(1);
  });

  it('asks verify about the first settings, as connect() does', async () => {
    const verify = ({ a }: { a: number }) => {
      if (a < 0) throw new Error('too small');
    };
    expect(() => createMemoryConfig({ a: -1 }, { verify }))
      .throw(ClientError)
      .include({ code: 'rejected' });
    const later = createMemoryConfig({ a: -1 }, { verify: async (next) => verify(next) });
    expect(await failure(() => later.verified))
      .instanceOf(ClientError)
      .include({ code: 'rejected' });
    expect(await failure(() => later.set({ a: 1 }))).include({ code: 'rejected' });
    const good = createMemoryConfig({ a: 1 }, { verify: async (next) => verify(next) });
    await good.verified;
    await good.set({ a: 2 });
    expect(good.settings.a).equal(2);
  });

  it('takes no settings while it is disconnected, as a program gets none', async () => {
    const config = createMemoryConfig({ a: 1 });
    config.disconnect();
    expect(await failure(() => config.set({ a: 2 }))).include({ code: 'not_connected' });
    config.reconnect();
    await config.set({ a: 3 });
    expect(config.snapshot).include({ revision: 2 });
  });

  it('takes and answers nothing after it is closed, and stays closed', async () => {
    const config = createMemoryConfig({ a: 1 });
    let pass = () => {};
    config.watch(
      'a',
      () =>
        new Promise<void>((resolve) => {
          pass = resolve;
        }),
    );
    const setting = failure(() => config.set({ a: 2 }));
    await settle();
    await config.close();
    pass();
    expect(await setting).include({ code: 'closed' });
    for (const task of [
      () => config.set({ a: 3 }),
      () => config.reload(),
      () => config.validate(),
      () => config.summary(),
    ])
      expect(await failure(task))
        .instanceOf(ClientError)
        .include({ code: 'closed' });
    config.reconnect();
    expect(config.link).include({ kind: 'stale', reason: 'closed' });
    expect(config.settings.a).equal(1);
  });

  it('refuses what settings cannot hold, by its path, and leaves out what is undefined', async () => {
    for (const value of [new Date(), new Map(), () => 1, Number.NaN, 10n, Symbol('s'), Buffer.from('x')])
      expect(() => createMemoryConfig({ a: { list: [1, { value }] } }))
        .throw(ClientError, 'a.list')
        .include({ code: 'usage' });
    const config = createMemoryConfig({ a: 1, b: undefined as unknown });
    expect(Object.keys(config.settings)).deep.equal(['a']);
    expect(await failure(() => config.set({ a: 1, b: new Date() }))).include({ code: 'usage' });
    const cyclic: Record<string, unknown> = {};
    cyclic.again = cyclic;
    expect(() => createMemoryConfig(cyclic))
      .throw(ClientError)
      .include({ code: 'usage' });
  });
});
