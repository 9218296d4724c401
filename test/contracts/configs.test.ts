import { expect } from 'chai';
import { ClientError } from '../../client/errors.ts';
import { createMemoryConfig, type MemoryConfig } from '../../client/memory-config.ts';
import { type App, useDaemon } from '../support/use-daemon.ts';
import { describeConfig } from './config-contract.ts';

describe('contract: Config', () => {
  const daemon = useDaemon();

  describeConfig('what connect() gives', () => ({
    open: async (verify) => {
      if (!daemon().daemon) await daemon().start();
      return daemon().connect(verify ? { verify } : {});
    },
    commit: async (url, features) => {
      if (features) daemon().scratch.write('secrets/features.json', JSON.stringify({ features }));
      daemon().scratch.write('secrets/app.yaml', `database: { url: ${url} }\n`);
    },
    loseDaemon: () => daemon().daemon!.stop(),
    bringBack: async () => void (await daemon().start()),
  }));
});

describe('contract: Config, in memory', () => {
  let config: MemoryConfig<App>;
  const settings = (url: string, features = { beta: false }): App => ({
    database: { url, poolSize: 5 },
    features,
    llm: { key: 'k' },
  });
  afterEach(() => config.close());

  describeConfig('what createMemoryConfig() gives', () => ({
    open: async (verify) => {
      config = createMemoryConfig<App>(settings('first'), verify ? { verify } : {});
      return config;
    },
    commit: (url, features) => config.set(settings(url, features as never)),
    loseDaemon: async () => config.disconnect(),
    bringBack: async () => config.reconnect(),
  }));

  it('createMemoryConfig copies what it is given, and tells when it is refused', async () => {
    const mine = settings('mine');
    config = createMemoryConfig<App>(mine, { verify: ({ database }) => expect(database.url).not.equal('bad') });
    expect(Object.isFrozen(mine)).equal(false);
    expect(await config.set(settings('bad')).catch((error) => error))
      .instanceOf(ClientError)
      .include({ code: 'rejected' });
    expect(config.snapshot.revision).equal(1);
  });
});
