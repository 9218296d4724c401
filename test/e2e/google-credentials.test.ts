import { mkdirSync } from 'node:fs';
import { expect } from 'chai';
import { connect } from '../../client/connect.ts';
import { canary, everythingIn, expectNoCanary } from '../support/canary.ts';
import { hotconf, useProcesses } from '../support/daemon-process.ts';
import { layExample } from '../support/example.ts';
import { GoogleWithCredentials } from '../support/google-with-credentials.ts';
import { useScratch } from '../support/scratch.ts';
import { project } from '../support/secret-manager/local-secret-manager.ts';
import { skipBecause } from '../support/skip.ts';
import { until } from '../support/until.ts';
import type { App } from '../support/use-daemon.ts';

describe("Google's credentials", function () {
  this.timeout(60_000);
  const scratch = useScratch();
  const run = useProcesses();
  let google: GoogleWithCredentials;
  beforeEach(async () => {
    google = await GoogleWithCredentials.start();
    google.secret('key', ['from-google']);
  });
  afterEach(() => google.stop());

  /** Options with one secret of Google's, and the environment of a process without credentials. */
  const lay = (more: Record<string, unknown> = {}) => {
    const gcp = {
      project,
      secrets: [{ secret: 'key', at: 'llm.key' }],
    };
    const sources = { defaults: './defaults.yaml', files: [{ path: './secrets' }], gcp };
    const reload = { startWait: '0s', rescan: '10m', deadline: '15s' };
    return layExample(scratch(), { sources, reload, ...more });
  };
  const env = (more: Record<string, string> = {}) => ({ ...google.env(scratch().folder), ...more });
  const keyFile = (content: unknown) =>
    scratch().write('key.json', typeof content === 'string' ? content : JSON.stringify(content));
  const settingsOf = (path: string) => connect<App>({ socket: scratch().path(path) });

  /** How credentials can be wrong, and what is said of that besides the file. */
  const wrong: Record<string, { set: (secret: string) => Record<string, string>; says: RegExp }> = {
    'there are none': {
      set: () => ({}),
      says: /there are no Google credentials: [\s\S]*gcloud auth application-default login/,
    },
    'the key file is missing': {
      set: () => ({ GOOGLE_APPLICATION_CREDENTIALS: scratch().path('nowhere.json') }),
      says: /nowhere\.json: is missing, and GOOGLE_APPLICATION_CREDENTIALS names it/,
    },
    'the key file is malformed': {
      set: (secret) => ({
        GOOGLE_APPLICATION_CREDENTIALS: keyFile(`{"type":"service_account","private_key":"${secret}",}`),
      }),
      says: /key\.json: is not valid JSON/,
    },
    'the key file is of something else': {
      set: (secret) => ({ GOOGLE_APPLICATION_CREDENTIALS: keyFile({ [secret]: secret, type: secret }) }),
      says: /key\.json: is no credentials file of Google/,
    },
    'the key file has no key': {
      set: (secret) => ({
        GOOGLE_APPLICATION_CREDENTIALS: keyFile({ type: 'service_account', client_email: 'a', private_key: secret }),
      }),
      says: /key\.json: its private_key is no key/,
    },
    'the file of gcloud is malformed': {
      set: (secret) => {
        const path = '.config/gcloud/application_default_credentials.json';
        scratch().write(path, `{"refresh_token":"${secret}"`);
        return {};
      },
      says: /application_default_credentials\.json: is not valid JSON/,
    },
    'nobody gives out tokens': {
      set: () => {
        google.refuses = true;
        return { GOOGLE_APPLICATION_CREDENTIALS: keyFile(google.keyFiles.authorized_user) };
      },
      says: /key\.json: no token can be got with it: HTTP 400/,
    },
    'the metadata server does not answer': {
      set: () => {
        google.isMetadataSilent = true;
        return google.metadataEnv;
      },
      says: /the metadata server does not answer|there are no Google credentials/,
    },
    'the metadata server breaks off': {
      set: () => {
        google.isMetadataBroken = true;
        return { ...google.metadataEnv, METADATA_SERVER_DETECTION: '' };
      },
      says: /there are no Google credentials/,
    },
    'Google does not accept them': {
      set: () => {
        google.refuses = true;
        return { GOOGLE_APPLICATION_CREDENTIALS: keyFile(google.keyFiles.service_account) };
      },
      says: /Google does not accept the credentials: those of .*key\.json/,
    },
  };

  for (const [how, { set, says }] of Object.entries(wrong))
    it(`${how}: start, validate and doctor say which file and what to do, and nothing of its content`, async () => {
      const secret = canary();
      const file = lay();
      const options = { env: env(set(secret)), cwd: scratch().folder };
      const [started, validated, examined] = await Promise.all([
        hotconf(['start', '--config', file], options),
        hotconf(['validate', '--config', file], options),
        hotconf(['doctor', '--config', file], options),
      ]);
      for (const { stdout, stderr } of [started, validated, examined]) {
        expect(stdout + stderr, stdout + stderr).match(says);
        expect(stdout + stderr, 'no stack of a library').not.match(/^ {4}at /m);
        expect(stderr, 'no warning of a library').not.match(/Warning/);
        expectNoCanary('the output', stdout + stderr, [secret]);
      }
      expect(started.lastWords)
        .match(/^hotconf: /)
        .match(says);
      expect(started.code).equal(77);
      expect(validated.code).equal(77);
      expect(examined.code).equal(1);
      expect(examined.stdout).match(/^FAIL {2}(credentials|secret key): /m);
    });

  /** Good credentials, and what cannot be reached with them. The library's own retries may outlast our time limit. */
  const away: Record<string, { set: () => Record<string, string>; says: RegExp }> = {
    'nothing of Google, with a key that signs for itself': {
      set: () => ({
        GOOGLE_APPLICATION_CREDENTIALS: keyFile(google.keyFiles.service_account),
        https_proxy: 'http://127.0.0.1:9',
      }),
      says: /secrets\/key.*: Google (cannot be reached: UNAVAILABLE|does not answer)/,
    },
    'nothing of Google, as a user': {
      set: () => ({
        GOOGLE_APPLICATION_CREDENTIALS: keyFile(google.keyFiles.authorized_user),
        https_proxy: 'http://127.0.0.1:9',
      }),
      says: /key\.json: the token server of these credentials cannot be reached: (ECONNREFUSED|TIMEOUT)/,
    },
    'a token server that is out of order': {
      set: () => {
        google.tokenFailure = 503;
        return { GOOGLE_APPLICATION_CREDENTIALS: keyFile(google.keyFiles.authorized_user) };
      },
      says: /key\.json: the token server of these credentials cannot be reached: (HTTP 503|TIMEOUT)/,
    },
  };
  for (const [what, { set, says }] of Object.entries(away))
    it(`cannot reach ${what}: start, validate and doctor point at the network, and blame no credentials`, async () => {
      const file = lay();
      const options = { env: env(set()), cwd: scratch().folder };
      const [started, validated, examined] = await Promise.all([
        hotconf(['start', '--config', file], options),
        hotconf(['validate', '--config', file], options),
        hotconf(['doctor', '--config', file], options),
      ]);
      for (const { stdout, stderr } of [started, validated, examined])
        expect(stdout + stderr)
          .match(says)
          .contain('check network, DNS and proxy of this machine')
          .not.match(/keys create|application-default login|tried again by itself/);
      expect([started.code, validated.code, examined.code]).deep.equal([69, 69, 1]);
      expect(examined.stdout).match(/^FAIL {2}(credentials|secret key): /m);
    });

  const advice: Record<string, { file: () => object; says: RegExp }> = {
    'a user': { file: () => google.keyFiles.authorized_user, says: /run `gcloud auth application-default login`/ },
    'an external account': {
      file: () => google.keyFiles.external_account(scratch().write('subject-token', 'subject')),
      says: /subject token that it names and the workload identity pool/,
    },
    'a service account': {
      file: () => google.keyFiles.service_account,
      says: /gcloud iam service-accounts keys create/,
    },
  };
  for (const [whose, { file, says }] of Object.entries(advice))
    it(`advises what fits the credentials of ${whose} when they are refused`, async () => {
      google.refuses = true;
      const options = { env: env({ GOOGLE_APPLICATION_CREDENTIALS: keyFile(file()) }) };
      const { stdout, code } = await hotconf(['validate', '--config', lay()], options);
      expect(stdout).match(says);
      if (whose !== 'a service account') expect(stdout).not.contain('service-accounts keys');
      expect(code).equal(77);
    });

  const right: Record<string, { set: () => Record<string, string>; asks: string[] }> = {
    'a service account, which signs for itself': {
      set: () => ({ GOOGLE_APPLICATION_CREDENTIALS: keyFile(google.keyFiles.service_account) }),
      asks: [],
    },
    'a user, by gcloud': {
      set: () => {
        const text = JSON.stringify(google.keyFiles.authorized_user);
        scratch().write('.config/gcloud/application_default_credentials.json', text);
        return {};
      },
      asks: ['oauth2.googleapis.com /token'],
    },
    'an external account': {
      set: () => {
        const subject = scratch().write('subject-token', 'of-the-identity-provider');
        return { GOOGLE_APPLICATION_CREDENTIALS: keyFile(google.keyFiles.external_account(subject)) };
      },
      asks: ['sts.googleapis.com /v1/token'],
    },
    'the metadata server': { set: () => google.metadataEnv, asks: ['/token'] },
  };
  for (const [whose, { set, asks }] of Object.entries(right))
    it(`are those of ${whose}`, async () => {
      const daemon = await run(['start', '--config', lay()], { env: env(set()) }).ready();
      const program = await settingsOf('run/default.sock');
      expect(program.settings.llm.key).equal('from-google');
      await program.close();
      for (const host of asks)
        expect(
          google.asked.some((asked) => asked.includes(host)),
          `${google.asked}`,
        ).equal(true);
      expect(await daemon.kill('SIGTERM')).equal(0);
    });

  const subscribers: Record<string, () => object> = {
    'a service account': () => google.keyFiles.service_account,
    'a user': () => google.keyFiles.authorized_user,
  };
  for (const [whose, file] of Object.entries(subscribers))
    it(`serve for Pub/Sub too: with those of ${whose} a notification brings a new version`, async () => {
      const topic = await google.startPubsub();
      google.secret('told', ['one'], [topic]);
      const gcp = { project, secrets: [{ secret: 'told', at: 'llm.key' }], notifications: { topic }, resync: '1h' };
      const options = { env: env({ GOOGLE_APPLICATION_CREDENTIALS: keyFile(file()) }) };
      const daemon = await run(
        ['start', '--config', lay({ sources: { files: [{ path: './secrets' }], gcp } })],
        options,
      ).ready();
      const program = await settingsOf('run/default.sock');
      google.store.addVersion(`projects/${project}/secrets/told`, Buffer.from('two'));
      await until('the notification brings it', () => program.settings.llm.key === 'two', 20_000);
      await program.close();
      expect(daemon.logged('notifications_failed')).deep.equal([]);
      expect(await daemon.kill('SIGTERM')).equal(0);
    });

  it('that go bad leave what is served, and a daemon that serves what it kept, until they are there again', async () => {
    scratch().write('lkg.key', `${Buffer.alloc(32, 1).toString('base64')}\n`);
    const file = lay({ lastKnownGood: { keyFile: './lkg.key' } });
    const GOOGLE_APPLICATION_CREDENTIALS = keyFile(google.keyFiles.service_account);
    const options = { env: env({ GOOGLE_APPLICATION_CREDENTIALS }) };
    await (await run(['start', '--config', file], options).ready()).kill('SIGTERM');
    const secret = canary();
    keyFile(`{"private_key":"${secret}",}`);
    const daemon = await run(['start', '--config', file], options).ready();
    const program = await settingsOf('run/default.sock');
    expect(program.settings.llm.key, 'the last known good').equal('from-google');
    const stale = () => daemon.logged('config_reload_failed').filter((record) => record.stale);
    await until('it reports the problem', () => stale().length > 0);
    expect(stale().at(-1)).include({ code: 'google_credentials' });
    expect(stale().at(-1)!.staleSources).include('gcp');
    scratch().write('secrets/app.yaml', 'database: { url: edited }\n');
    await until('other sources go on', () => program.settings.database.url === 'edited');
    const { code, stdout, stderr } = await hotconf(['rotate', 'key', '--generate', '20', '--config', file], options);
    expect(stdout + stderr).match(/key\.json: is not valid JSON/);
    expect(code).equal(77);
    keyFile(google.keyFiles.service_account);
    google.store.addVersion(`projects/${project}/secrets/key`, Buffer.from('rotated'));
    await until('it recovers by itself', () => program.settings.llm.key === 'rotated', 20_000);
    await program.close();
    expectNoCanary('the log', daemon.stdout + daemon.stderr, [secret]);
    expect(await daemon.kill('SIGTERM')).equal(0);
    // Nothing is written to it any more.
    expectNoCanary('the state folder', everythingIn(scratch().path('state')), [secret]);
  });

  it('that may not be read name the user who has to', async function () {
    if (process.getuid!() !== 0) return skipBecause(this, 'only root can play several users');
    const file = lay();
    const GOOGLE_APPLICATION_CREDENTIALS = keyFile(google.keyFiles.service_account);
    for (const folder of ['.', 'run', 'state']) mkdirSync(scratch().path(folder), { recursive: true });
    const options = { env: env({ GOOGLE_APPLICATION_CREDENTIALS }), wrapper: [] };
    const { spawnSync } = await import('node:child_process');
    spawnSync('chown', ['-R', '12345', scratch().folder]);
    spawnSync('chown', ['0', GOOGLE_APPLICATION_CREDENTIALS]);
    const { lastWords, code } = await hotconf(['start', '--config', file], { ...options, uid: 12345 });
    expect(lastWords).match(/key\.json: cannot be read: EACCES \(chown 12345 .*key\.json/);
    expect(code).equal(77);
  });
});
