import { expect } from 'chai';
import { useGcpDaemon } from '../support/gcp-daemon.ts';
import { projectNumber } from '../support/secret-manager/local-secret-manager.ts';
import { until } from '../support/until.ts';

const key = { secret: 'key', at: 'llm.key' };

describe('secrets of Google Secret Manager', () => {
  const { google, test, start, source, calls } = useGcpDaemon();

  it('are served at their paths, and a new version reaches a program with one access by its number', async () => {
    const [first, second] = [test().canary(), test().canary()];
    google().secret('key', [first]);
    await start({ secrets: [key] });
    const config = await test().connect();
    expect(config.settings.llm.key).equal(first);
    calls();
    google().add('key', second);
    await until('the program has it', () => config.settings.llm.key === second);
    expect(config.snapshot.cause).equal('secret-manager');
    expect(calls()).deep.equal(['Access key 2']);
    expect(test().daemon!.reports.explain('llm.key').from).deep.equal({
      source: 'gcp',
      kind: 'gcp',
      name: google().name('key'),
      version: '2',
    });
  });

  it('stand above files and below the environment', async () => {
    google().secret('db', [JSON.stringify({ url: 'from-google', poolSize: 7 })]);
    test().env = { APP_DATABASE__POOL_SIZE: '9' };
    await start(
      { secrets: [{ secret: 'db', at: 'database', format: 'json' }] },
      { sources: { env: { prefix: 'APP_' } } },
    );
    const config = await test().connect();
    expect(config.settings.database).deep.equal({ url: 'from-google', poolSize: 9 });
    expect(
      test()
        .daemon!.reports.explain('database.url')
        .shadows.map(({ kind }) => kind),
    ).deep.equal(['files']);
  });

  it('come as text, JSON, YAML and variables, a line break at the end of a text dropped', async () => {
    google().secret('text', ['plain\n']);
    google().secret('json', ['{"a": {"b": "json"}}']);
    google().secret('yaml', ['c: yaml\nd: 5\n']);
    google().secret('vars', ['E__F=variables\n']);
    const secrets = ['text', 'json', 'yaml'].map((format) => ({ secret: format, format, at: `extra.${format}` }));
    await start({ secrets: [...secrets, { secret: 'vars', format: 'env', at: 'extra.vars' }] });
    const { settings } = await test().connect();
    expect((settings as unknown as { extra: unknown }).extra).deep.equal({
      text: 'plain',
      json: { a: { b: 'json' } },
      yaml: { c: 'yaml', d: 5 },
      vars: { e: { f: 'variables' } },
    });
  });

  it('follow the newest enabled version: disabled, enabled again, destroyed', async () => {
    google().secret('key', ['one', 'two', 'three']);
    google().setState('key', 3, 'DISABLED');
    await start({ secrets: [key] });
    const config = await test().connect();
    expect(config.settings.llm.key).equal('two');
    for (const [version, state, then] of [
      [3, 'ENABLED', 'three'],
      [3, 'DISABLED', 'two'],
      [2, 'DESTROYED', 'one'],
      [3, 'ENABLED', 'three'],
    ] as const) {
      google().setState('key', version, state);
      await until(`${state} ${version} leads to ${then}`, () => config.settings.llm.key === then);
    }
    // What concerns no version that is served is no news.
    calls();
    google().setState('key', 1, 'DISABLED');
    await until('it is heard', () => source().counts.messages?.known === 1);
    expect(calls()).deep.equal([]);
  });

  it('are found by reading alone where listing is not permitted', async () => {
    google().secret('key', ['one', 'two', 'three', 'four']);
    google().store.faults.add({ method: 'ListSecretVersions', status: 'PERMISSION_DENIED' });
    for (const version of [3, 4]) google().setState('key', version, 'DISABLED');
    await start({ secrets: [key] });
    const config = await test().connect();
    expect(config.settings.llm.key).equal('two');
    google().setState('key', 2, 'DISABLED');
    await until('it falls back', () => config.settings.llm.key === 'one');
    google().add('key', 'five');
    await until('it has the new one', () => config.settings.llm.key === 'five');
  });

  it('are not fooled by a `latest` that lags, where listing is not permitted', async () => {
    google().secret('key', ['one']);
    google().store.freezeLatest(google().name('key'));
    google().add('key', 'two');
    google().store.faults.add({ method: 'ListSecretVersions', status: 'PERMISSION_DENIED' });
    await start({ secrets: [key] });
    expect((await test().connect()).settings.llm.key).equal('two');
  });

  it('can be pinned to a number, which later versions do not move', async () => {
    google().secret('key', ['one', 'two']);
    await start({ secrets: [{ ...key, version: 1 }] });
    const config = await test().connect();
    google().add('key', 'three');
    await until('it is heard', () => source().counts.messages?.known === 1);
    expect(config.settings.llm.key).equal('one');
    google().setState('key', 1, 'DISABLED');
    await until('it is told', () => source().state === 'stale');
    expect(source().problem).include({ code: 'secret_disabled' });
    expect(config.settings.llm.key).equal('one');
    google().setState('key', 1, 'ENABLED');
    await until('it has recovered', () => source().state === 'current');
  });

  it('can follow an alias and `latest`', async () => {
    google().secret('key', ['one', 'two']);
    google().store.updateSecret(google().name('key'), { versionAliases: { good: 1 } });
    google().secret('url', ['url-one']);
    const url = { secret: 'url', at: 'database.url', version: 'latest' };
    await start({ secrets: [{ ...key, version: 'good' }, url] });
    const config = await test().connect();
    expect(config.settings.llm.key).equal('one');
    google().store.updateSecret(google().name('key'), { versionAliases: { good: 2 } });
    await until('the alias is followed', () => config.settings.llm.key === 'two');
    const thaw = google().store.freezeLatest(google().name('url'));
    google().add('url', 'url-two');
    await until('`latest` lags, the number does not', () => config.settings.database.url === 'url-two');
    thaw();
    // `latest` is the newest one created, whatever its state.
    google().setState('url', 2, 'DISABLED');
    await until('it is told', () => source().problem?.code === 'secret_disabled');
    expect(config.settings.database.url).equal('url-two');
  });

  it('can be of one region', async () => {
    google().secret('key', ['global']);
    google().secret('key', ['regional'], { location: 'europe-west1' });
    await start({ secrets: [{ ...key, location: 'europe-west1' }] });
    const config = await test().connect();
    expect(config.settings.llm.key).equal('regional');
    google().add('key', 'global again');
    google().add('key', 'regional again', 'europe-west1');
    await until('it has the regional one', () => config.settings.llm.key === 'regional again');
    expect(source().counts.messages?.unknown).equal(1);
  });

  it('are found by label; new ones join, and gone ones are kept until an operator reloads', async () => {
    const billing = { labels: { app: 'billing' } };
    google().secret('a-one', ['first'], billing);
    google().secret('other', ['not ours'], { labels: { app: 'web' } });
    await start({ discover: { filter: 'labels.app=billing', at: 'extra' } });
    const config = await test().connect();
    const extra = () => (config.settings as unknown as { extra: unknown }).extra;
    expect(extra()).deep.equal({ 'a-one': 'first' });
    google().secret('b-two', ['second'], billing);
    await until('the new one is there', () => (extra() as object) && 'b-two' in (extra() as object));
    expect(extra()).deep.equal({ 'a-one': 'first', 'b-two': 'second' });
    google().store.deleteSecret(google().name('a-one'));
    await until('it is told', () => source().problem?.code === 'secret_not_found');
    expect(extra()).deep.equal({ 'a-one': 'first', 'b-two': 'second' });
    await test().daemon!.reload({ cause: 'operator' });
    await until('it is gone', () => !('a-one' in (extra() as object)));
    expect(source().state).equal('current');
  });

  it('are read once, however often they are mounted', async () => {
    google().secret('key', ['{"a":"one"}']);
    await start({ secrets: [{ secret: 'key', at: 'extra', format: 'json' }, key] });
    const config = await test().connect();
    expect(config.settings).deep.include({ extra: { a: 'one' }, llm: { key: '{"a":"one"}' } });
    calls();
    google().add('key', '{"a":"two"}');
    await until('both are new', () => config.settings.llm.key.includes('two'));
    expect(config.settings).deep.include({ extra: { a: 'two' } });
    expect(calls()).deep.equal(['Access key 2']);
  });

  it('can be of a project given by its number', async () => {
    google().secret('key', ['one']);
    await start({ project: projectNumber, secrets: [key], notifications: { topic: google().topic } });
    const config = await test().connect();
    google().add('key', 'two');
    await until('it has it', () => config.settings.llm.key === 'two');
  });

  it('take at most 50 accesses and 3 commits for 1,000 notifications of 50 secrets', async () => {
    const ids = Array.from({ length: 50 }, (_, i) => `s${i}`);
    for (const id of ids) google().secret(id, ['first'], { topics: [] });
    await start({ secrets: ids.map((secret) => ({ secret, at: `extra.${secret}` })) });
    const config = await test().connect();
    const before = test().revision;
    for (let round = 2; round <= 21; round++) for (const id of ids) google().add(id, `version-${round}`);
    calls();
    const batch = google().client.topic(google().topicId, { batching: { maxMessages: 1_000, maxMilliseconds: 50 } });
    const told = ids.flatMap((id) => Array.from({ length: 20 }, (_, i) => google().added(id, i + 2)));
    await Promise.all(told.map((attributes) => batch.publishMessage({ data: Buffer.from('{}'), attributes })));
    const extra = () => (config.settings as unknown as { extra: Record<string, string> }).extra;
    await until('all have the last', () => ids.every((id) => extra()[id] === 'version-21'), 15_000);
    await until('all are heard', () => {
      const { news = 0, known = 0 } = source().counts.messages ?? {};
      return news + known === 1_000;
    });
    expect(calls().filter((call) => call.startsWith('Access'))).length.at.most(50);
    expect(test().revision - before).at.most(3);
  });

  it('are compared again at each resync, which finds what no notification told', async () => {
    google().secret('key', ['one'], { topics: [] });
    await start({ secrets: [key], resync: '1s' });
    const config = await test().connect();
    google().add('key', 'two');
    await until('the resync finds it', () => config.settings.llm.key === 'two');
    calls();
    const reloads = test().logged('config_reload_completed').length;
    await until('it has looked twice more', () => google().store.faults.count('ListSecretVersions') > 4);
    expect(calls().filter((call) => call.startsWith('Access'))).deep.equal([]);
    expect(test().logged('config_reload_completed').length).equal(reloads);
  });

  it('are not forgotten when they are announced while a resync looks at them', async () => {
    google().secret('key', ['one']);
    await start({ secrets: [key], resync: '3s' });
    const config = await test().connect();
    google().store.faults.add({ method: 'ListSecretVersions', delayMs: 1_000, times: 1 });
    await until('the resync asks', () => google().store.faults.count('ListSecretVersions') === 2);
    google().add('key', 'two');
    await until('it is there', () => config.settings.llm.key === 'two');
    expect(google().store.faults.count('ListSecretVersions'), 'not by the next resync').equal(2);
  });

  it('make a subscription of the daemon’s own and delete it on a clean stop', async () => {
    google().secret('key', ['one']);
    await start({ secrets: [key] });
    const listed = async () =>
      (await google().client.topic(google().topicId).getSubscriptions())[0].map(({ name }) => name);
    const names = await listed();
    expect(names).length(1);
    const [metadata] = await google().client.subscription(names[0]!).getMetadata();
    expect(metadata.name).match(/\/hotconf-[a-z0-9-]+-[0-9a-f]{12}$/);
    expect(metadata.messageRetentionDuration!.seconds).equal('600');
    expect(metadata.expirationPolicy!.ttl!.seconds).equal('86400');
    await test().stop();
    expect(await listed()).deep.equal([]);
    Object.assign(test().options, { hotReload: false });
    await test().start();
    expect(await listed(), 'without hot reload there is none').deep.equal([]);
  });

  it('use a named subscription as it is, and leave it there', async () => {
    google().secret('key', ['one']);
    await google().client.createSubscription(google().topicId, 'my-own');
    await start({ secrets: [key], notifications: { topic: google().topicId, subscription: 'my-own' } });
    const config = await test().connect();
    google().add('key', 'two');
    await until('it has it', () => config.settings.llm.key === 'two');
    await test().stop();
    expect((await google().client.subscription('my-own').exists())[0]).equal(true);
    await google().client.subscription('my-own').delete();
  });

  it('are all read within the quota of listings, however many there are', async () => {
    const ids = Array.from({ length: 1_000 }, (_, i) => `s${i}`);
    for (const id of ids) google().secret(id, ['first'], { topics: [] });
    google().store.faults.latencyMs = 20;
    await start({ secrets: ids.map((secret) => ({ secret, at: `extra.${secret}` })) });
    expect(google().store.faults.count('ListSecretVersions')).at.most(100);
    const { settings } = await test().connect();
    expect(Object.keys((settings as unknown as { extra: object }).extra)).length(1_000);
  });
});
