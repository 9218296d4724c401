import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { expect } from 'chai';
import { useGcpDaemon } from '../support/gcp-daemon.ts';
import { until } from '../support/until.ts';
import { useDaemon } from '../support/use-daemon.ts';

const key = () => `${randomBytes(32).toString('base64')}\n`;

describe('the last known good', () => {
  const test = useDaemon();
  const edit = (url: string) => test().scratch.write('secrets/app.yaml', `database: { url: ${url} }\n`);
  const files = () => readdirSync(test().scratch.path('state/last-known-good')).sort();
  const status = () => test().daemon!.reports.status();
  const start = async () => {
    test().options.lastKnownGood = { keyFile: './lkg.key' };
    if (!existsSync(test().scratch.path('lkg.key'))) test().scratch.write('lkg.key', key());
    return test().start();
  };
  const restart = async (between = () => {}) => {
    await test().stop();
    between();
    await start();
  };
  const gone = () => rmSync(test().scratch.path('secrets'), { recursive: true });

  it('is served at once by a start whose sources are away, stale, and goes live when they are back', async () => {
    await start();
    const url = test().canaries[0]!;
    await restart(gone);
    const config = await test().connect();
    expect(config.settings.database.url).equal(url);
    expect(config.snapshot.revision).equal(1);
    expect(status().state.kind).equal('stale');
    expect(status().sources.find(({ id }) => id === 'files:./secrets')!.problem!.message).contain('secrets');
    edit('url-2');
    await until('it is live', () => config.settings.database.url === 'url-2');
    expect(config.snapshot.revision).equal(2);
    await until('it is ready', () => status().state.kind === 'ready');
  });

  it('keeps its number over a restart, and so do the programs', async () => {
    await start();
    edit('url-2');
    await until('it is committed', () => test().revision === 2);
    await restart();
    expect(test().revision).equal(2);
    expect(files()).deep.equal(['1.sealed', '2.sealed']);
    await restart(() => edit('url-3'));
    expect(test().revision).equal(3);
    const [first] = test().daemon!.reports.history();
    expect(first).deep.include({ revision: 3, cause: 'start', changed: ['database.url'] });
  });

  it('loses nothing when one of several sources is away, and lets the others go on', async () => {
    test().options.sources = { defaults: './defaults.yaml', files: [{ path: './secrets' }, { path: './more' }] };
    test().scratch.write('more/llm.yaml', 'llm: { key: key-1 }\n');
    await start();
    await restart(() => {
      rmSync(test().scratch.path('more'), { recursive: true });
      edit('while-down');
    });
    const config = await test().connect();
    await until('what changed while it was down is there', () => config.settings.database.url === 'while-down');
    expect(config.settings.llm.key).equal('key-1');
    edit('url-3');
    await until('it goes on', () => config.settings.database.url === 'url-3');
    expect(config.settings.llm.key).equal('key-1');
    await test().daemon!.reload({ cause: 'operator' });
    test().scratch.write('more/llm.yaml', 'llm: { key: key-2 }\n');
    await until('it is back', () => config.settings.llm.key === 'key-2');
  });

  it('lets a rollback go back beyond a restart, and keeps the pin', async () => {
    await start();
    const first = test().canaries[0]!;
    edit('url-2');
    await until('it is committed', () => test().revision === 2);
    await restart();
    await test().daemon!.rollback({ to: 1 }, { by: 'operator' });
    const config = await test().connect();
    expect(config.settings.database.url).equal(first);
    await restart(() => edit('url-4'));
    expect(status().pinned).include({ to: 1, revision: 3 });
    expect((await test().connect()).settings.database.url).equal(first);
    await test().daemon!.reload({ cause: 'operator' });
    expect((await test().connect()).settings.database.url).equal('url-4');
  });

  it('keeps what a program could not live with away after a restart', async () => {
    test().options.rollout = { strategy: 'canary', canary: { share: '10%', bake: '10s' } };
    edit('url-1');
    await start();
    const config = await test().connect();
    config.watch('database.url', (url) => {
      if (url === 'bad-url') throw new Error('no');
    });
    edit('bad-url');
    await until('it is withdrawn', () => test().revision === 3);
    await restart();
    expect((await test().connect()).settings.database.url).equal('url-1');
    expect(status().sources.find(({ id }) => id === 'files:./secrets')!.problem!.message).contain(
      'was withdrawn before',
    );
  });

  it('is encrypted anew when its key is rotated, and the old key may go then', async () => {
    await start();
    edit('url-2');
    await until('it is committed', () => test().revision === 2);
    const [old, next] = [readFileSync(test().scratch.path('lkg.key'), 'utf8'), key()];
    const before = readFileSync(test().scratch.path('state/last-known-good/1.sealed'));
    await restart(() => test().scratch.write('lkg.key', next + old));
    await until(
      'it is written anew',
      () => !readFileSync(test().scratch.path('state/last-known-good/1.sealed')).equals(before),
    );
    await restart(() => {
      test().scratch.write('lkg.key', next);
      gone();
    });
    expect((await test().connect()).settings.database.url).equal('url-2');
    expect((await test().daemon!.rollback({ to: 1 }, {})).kind).equal('committed');
  });

  it('goes on in a new epoch when the database of the state is damaged; the files of the old one are put aside then', async () => {
    test().options.lastKnownGood = { keyFile: './lkg.key', keep: 3 };
    test().scratch.write('lkg.key', key());
    await test().start();
    for (const n of [2, 3, 4, 5, 6]) {
      edit(`url-${n}`);
      await until('it is committed', () => test().revision === n);
    }
    await until('it is written', () => files().join() === '4.sealed,5.sealed,6.sealed');
    await test().stop();
    test().scratch.write('state/state.db', 'x'.repeat(5_000));
    for (const name of ['state.db-wal', 'state.db-shm']) rmSync(test().scratch.path('state', name), { force: true });
    await test().start();
    expect(test().revision).equal(1);
    expect(test().logged('state_damaged')).length(1);
    expect(test().logged('last_known_good_refused')).deep.equal([]);
    edit('url-new');
    await until('it is committed', () => test().revision === 2);
    await test().stop();
    expect(files()).deep.equal(['4.sealed.foreign', '5.sealed.foreign', '6.sealed.foreign', '7.sealed', '8.sealed']);
    gone();
    await test().start();
    const config = await test().connect();
    expect(config.settings.database.url).equal('url-new');
    expect((await test().daemon!.rollback({ to: 1 }, {})).kind).equal('committed');
    await until('it is back', () => config.settings.database.url === 'url-6');
  });

  it('is the one that was written last, whatever the numbers of the others are', async () => {
    await start();
    edit('url-2');
    await until('it is written', () => files().length === 2);
    await test().stop();
    test().scratch.write(
      'state/last-known-good/9.sealed',
      readFileSync(test().scratch.path('state/last-known-good/1.sealed')),
    );
    await start();
    edit('url-3');
    await until('it is committed', () => test().revision === 3);
    await restart(gone);
    expect(files()).include('11.sealed');
    expect((await test().connect()).settings.database.url).equal('url-3');
  });

  it('is not served when the schema does not allow it any more', async () => {
    await start();
    await test().stop();
    test().scratch.write('app.schema.json', '{ "required": ["something"] }');
    gone();
    await start().then(
      () => expect.fail('it started'),
      (error) => expect(error).property('code', 'source_missing'),
    );
    expect(test().logged('last_known_good_refused')[0]!.message).contain('something: is required and missing');
  });

  it('is not kept without a key, which is told, and rollback goes back as far as memory does', async () => {
    await test().start();
    expect(test().logged('last_known_good_off')[0]).include({ level: 'warn' });
    expect(existsSync(test().scratch.path('state/last-known-good'))).equal(false);
  });

  for (const [what, content, mode, words] of [
    ['missing', undefined, 0, 'is missing'],
    ['readable by others', key(), 0o644, 'can be read or written by everybody'],
    ['too short', 'c2hvcnQ=\n', 0o600, 'holds no key: 32 random bytes'],
    ['empty', '', 0o600, 'holds no key'],
  ] as const) {
    it(`goes on without it when the key file is ${what}, degraded`, async () => {
      test().options.lastKnownGood = { keyFile: './lkg.key' };
      test().scratch.open();
      if (content !== undefined) test().scratch.write('lkg.key', content, mode);
      await test().start();
      expect(status().state).include({ kind: 'degraded' });
      expect(status().state.reasons[0]).contain('lkg.key').contain(words);
    });
  }

  it('takes a key of 32 bytes as they are, and systemd’s credential before the file', async () => {
    test().scratch.write('creds/lkg-key', randomBytes(32), 0o400);
    test().env = { CREDENTIALS_DIRECTORY: test().scratch.path('creds') };
    test().options.lastKnownGood = { keyFile: './nobody' };
    await test().start();
    expect(status().state.kind).equal('ready');
    await test().stop();
    expect(files()).deep.equal(['1.sealed']);
  });
});

describe('the last known good of secrets', () => {
  const { google, test, prepare, source } = useGcpDaemon();
  const secret = { secret: 'key', at: 'llm.key' };
  const away = { secretManager: '127.0.0.1:9', pubsub: '127.0.0.1:9' };
  const lastKnownGood = { keyFile: './lkg.key' };
  const start = (gcp: object) => {
    prepare({ secrets: [secret], ...gcp }, { lastKnownGood });
    return test().start();
  };
  beforeEach(() => void test().scratch.write('lkg.key', key()));

  it('is served within two seconds when Google is away, and read when it is back', async () => {
    google().secret('key', ['one']);
    await start({});
    await test().stop();
    google().add('key', 'two');
    const startedAt = performance.now();
    const end = google().store.faults.add({ status: 'UNAVAILABLE' });
    await start({});
    const config = await test().connect();
    expect(performance.now() - startedAt).lessThan(2_500);
    expect(config.settings.llm.key).equal('one');
    await until('it is told', () => source().problem !== null);
    end();
    await until('it is live', () => config.settings.llm.key === 'two', 30_000);
    await until('it is well', () => source().state === 'current');
  });

  it('is served when nothing of Google answers at all, and files go on', async () => {
    google().secret('key', ['one']);
    await start({});
    await test().stop();
    await start({ endpoints: away });
    const config = await test().connect();
    expect(config.settings.llm.key).equal('one');
    test().scratch.write('secrets/app.yaml', 'database: { url: meanwhile }\n');
    await until('files go on', () => config.settings.database.url === 'meanwhile');
    expect(config.settings.llm.key).equal('one');
    expect(source()).nested.include({ state: 'stale', 'problem.code': 'secret_unavailable' });
  });

  it('keeps a secret that is found by label', async () => {
    google().secret('found', ['f-1'], { labels: { app: 'billing' } });
    const discover = { filter: 'labels.app=billing', at: 'extra' };
    prepare({ discover }, { lastKnownGood });
    await test().start();
    await test().stop();
    prepare({ discover, endpoints: away }, { lastKnownGood });
    await test().start();
    expect((await test().connect()).get('extra.found' as never)).equal('f-1');
  });

  for (const status of ['PERMISSION_DENIED', 'NOT_FOUND', 'FAILED_PRECONDITION'] as const) {
    it(`drops a value that ${status} revokes only when an operator says so, and has it again when it is given back`, async () => {
      google().secret('key', ['one']);
      await start({});
      const config = await test().connect();
      const end = google().store.faults.add({ method: 'AccessSecretVersion', status });
      await test().daemon!.reload({ cause: 'operator' });
      expect(config.settings.llm.key).equal('one');
      await until('it is told', () => source().state === 'stale');
      const outcome = await test().daemon!.reload({ cause: 'operator' }, { acceptMissing: true });
      expect(outcome).nested.include({ kind: 'committed', 'snapshot.removed[0]': 'llm.key' });
      await until('it is gone', () => config.settings.llm === undefined);
      expect(source().state, 'what was accepted is no problem').equal('current');
      end();
      google().add('key', 'two');
      await until('it is there again', () => config.settings.llm?.key === 'two', 15_000);
    });
  }
});
