import { expect } from 'chai';
import type { DaemonError } from '../../daemon/model/errors.ts';
import { askSocket } from '../support/ask-socket.ts';
import { useGcpDaemon } from '../support/gcp-daemon.ts';
import { until } from '../support/until.ts';

const key = { secret: 'key', at: 'llm.key' };

describe('bad input from Google', () => {
  const { google, test, start, source } = useGcpDaemon();

  const refusal = async (gcp: Record<string, unknown>): Promise<DaemonError> =>
    start(gcp).then(
      () => expect.fail('it starts'),
      (error) => error,
    );

  describe('at the start, where there is nothing to keep', () => {
    it('a secret without versions', async () => {
      google().secret('key', []);
      const { code, message } = await refusal({ secrets: [key] });
      expect(code).equal('secret_disabled');
      expect(message)
        .contain(google().name('key'))
        .contain('no version that is enabled')
        .contain('gcloud secrets versions add');
    });

    it('a secret that does not exist', async () => {
      const { code, message } = await refusal({ secrets: [key] });
      expect(code).equal('secret_not_found');
      expect(message).contain(google().name('key')).contain('gcloud secrets list');
    });

    it('a project that does not exist', async () => {
      const { code, message } = await refusal({ project: 'no-such-project', secrets: [key], notifications: undefined });
      expect(code).equal('secret_forbidden');
      expect(message).contain('projects/no-such-project/').contain('the project may be wrong');
    });

    it('a permission that is missing on one of many, which is named with its role', async () => {
      for (const id of ['key', 'url', 'more']) google().secret(id, ['value']);
      google().store.faults.add({ name: 'secrets/url', status: 'PERMISSION_DENIED' });
      const secrets = [key, { secret: 'url', at: 'database.url' }, { secret: 'more', at: 'extra' }];
      const { code, message, exitCode } = await refusal({ secrets });
      expect(code).equal('secret_forbidden');
      expect(exitCode).equal(77);
      expect(message)
        .contain(google().name('url'))
        .contain('roles/secretmanager.secretAccessor')
        .not.contain('secrets/more');
    });

    it('two secrets mounted at one path, before anything is asked', async () => {
      google().secret('key', ['one']);
      const { code, message } = await refusal({ secrets: [key, { secret: 'other', at: 'llm.key' }] });
      expect(code).equal('options_unusable');
      expect(message).contain("'key' and 'other' are both mounted at llm.key");
      expect(google().store.faults.calls).deep.equal([]);
    });

    it('neither a secret nor a filter', async () => {
      expect((await refusal({})).message)
        .contain('sources.gcp.secrets')
        .contain('no secret is named');
    });

    it('a filter that Secret Manager refuses, and one that may not be asked', async () => {
      const discover = { filter: 'what is this', at: 'extra' };
      expect((await refusal({ discover })).code).equal('secret_refused');
      await test().stop();
      google().store.faults.add({ method: 'ListSecrets', status: 'PERMISSION_DENIED' });
      const { code, message } = await refusal({ discover: { ...discover, filter: 'labels.app=x' } });
      expect(code).equal('secret_forbidden');
      expect(message).contain('roles/secretmanager.viewer');
    });
  });

  for (const [what, format, good, bad, code] of [
    ['a binary payload in a text secret', 'text', 'one', Buffer.from([0xff, 0x00, 0xfe, 0x80]), 'source_encoding'],
    ['a JSON secret that is not JSON', 'json', '{"key": "one"}', '{"key": canary', 'source_malformed'],
    ['a JSON secret that is no object', 'json', '{"key": "one"}', '["canary"]', 'source_malformed'],
    ['a YAML secret that is torn', 'yaml', 'key: one', 'key: "canary', 'source_malformed'],
    ['a secret with a key twice', 'json', '{"key": "one"}', '{"key": "canary", "key": "b"}', 'source_duplicate_key'],
    ['a secret of nothing but spaces', 'text', 'one', '  \n', 'source_empty'],
    ['a payload over 64 KiB', 'text', 'one', Buffer.alloc(65_537, 'x'), 'source_too_large'],
    ['a secret that the schema refuses', 'json', '{"key": "one"}', '{"key": 5}', 'settings_invalid'],
  ] as const) {
    it(`${what}: is kept out, told without its content, and mended by the next version`, async () => {
      google().secret('key', [good]);
      await start({ secrets: [{ secret: 'key', at: format === 'text' ? 'llm.key' : 'llm', format }] });
      const config = await test().connect();
      // Past Google's own limit on what is added.
      const { versions } = google().store.getSecret(google().name('key'));
      versions.push({ number: 2, state: 'ENABLED', data: Buffer.from(bad), createTime: new Date() });
      await google().publish(google().added('key', 2));
      await until('it is told', () => source().state === 'stale');
      expect(source().problem!.code).equal(code);
      expect(source().problem!.message).contain(google().name('key')).not.contain('canary');
      expect(config.settings.llm.key).equal('one');
      expect(test().logged('config_reload_failed')).length(1);
      google().add('key', String(good).replace('one', 'three'));
      await until('the next version is there', () => config.settings.llm.key === 'three');
      await until('the source is well', () => source().state === 'current');
    });
  }

  it('a discovered secret at a path that a named one has is below it', async () => {
    google().secret('key', ['found'], { labels: { app: 'x' } });
    google().secret('other', ['named']);
    await start({ secrets: [{ secret: 'other', at: 'extra.key' }], discover: { filter: 'labels.app=x', at: 'extra' } });
    expect((await test().connect()).settings).deep.include({ extra: { key: 'named' } });
    expect(
      test()
        .daemon!.reports.explain('extra.key')
        .shadows.map(({ name }) => name),
    ).deep.equal([google().name('key')]);
  });

  it('a discovered secret whose id is a forbidden key: is refused by name, and the others are served', async () => {
    const labels = { app: 'x' };
    google().secret('key', ['found'], { labels });
    await start({ discover: { filter: 'labels.app=x', at: 'extra' } });
    const config = await test().connect();
    for (const id of ['constructor', '__proto__']) google().secret(id, ['canary'], { labels });
    await until('it is reported', () => source().problem?.code === 'source_forbidden_key');
    expect(source().problem!.message).contain('extra.').contain('keys named __proto__').not.contain('canary');
    google().secret('other', ['second'], { labels });
    const extra = () => (config.settings as unknown as { extra: object }).extra;
    await until('the others are served', () => 'other' in extra());
    expect(Object.getOwnPropertyNames(extra())).have.members(['key', 'other']);
  });

  it('is found by an operator’s dry run, which changes nothing; programs’ `validate` asks Google nothing', async () => {
    google().secret('key', ['{"key": "one"}']);
    await start({ secrets: [{ secret: 'key', at: 'llm', format: 'json' }] });
    const config = await test().connect();
    expect(await config.validate()).deep.equal({ valid: true, issues: [] });
    const { calls } = google().store.faults;
    const before = calls.length;
    for (let i = 0; i < 5; i++) await config.validate();
    expect(calls.length, 'calls for programs').equal(before);
    google().store.faults.add({ method: 'AccessSecretVersion', status: 'PERMISSION_DENIED' });
    const socket = test().scratch.path('run/admin.sock');
    const { body } = await askSocket(socket, '/admin/reload-config', { dryRun: true });
    expect(body.valid).equal(false);
    expect(body.issues[0].message).contain('roles/secretmanager.secretAccessor');
    expect(source().state).equal('current');
  });
});
