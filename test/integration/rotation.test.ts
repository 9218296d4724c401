import { existsSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { runCommandLine } from '../../daemon/commands/command-line.ts';
import { useGcpDaemon } from '../support/gcp-daemon.ts';
import { MemoryStream } from '../support/memory-stream.ts';
import { until } from '../support/until.ts';

const key = { secret: 'key', at: 'llm.key' };

describe('the rotation of a secret', () => {
  const { google, test, prepare, start, source } = useGcpDaemon();
  const states = () =>
    google()
      .store.getSecret(google().name('key'))
      .versions.map(({ state }) => state);

  /** Runs the command line in this process. */
  const hotconf = async (...args: string[]) => {
    const [stdout, stderr] = [new MemoryStream(), new MemoryStream()];
    const io = { stdout, stderr, env: {} } as unknown as Parameters<typeof runCommandLine>[1];
    const code = await runCommandLine([...args, '--config', test().scratch.path('hotconf.yaml')], io);
    return { code, stdout: stdout.lines.join('\n'), stderr: stderr.lines.join('\n') };
  };

  it('adds a version, which every program has accepted when it is over', async () => {
    google().secret('key', ['one']);
    await start({ secrets: [key] });
    const programs = [await test().connect(), await test().connect()];
    const next = test().canary();
    const file = test().scratch.write('next', next);
    const { code, stdout } = await hotconf('rotate', 'key', '--data-file', file);
    expect({ code, stdout }).deep.equal({
      code: 0,
      stdout: `rotated: version 2 of ${google().name('key')}, revision 2: every program runs it`,
    });
    for (const { settings } of programs) expect(settings.llm.key).equal(next);
    // Its notification may have a reload of its own, before or after, that finds nothing.
    const asked = test()
      .daemon!.reports.history()
      .find(({ cause }) => cause === 'operator');
    expect(asked).include({ reason: 'rotate key', revision: 2 });
    // Its own notification, which may come before the answer to the addition, changes nothing any more.
    await until('it is heard', () => {
      const { news = 0, known = 0 } = source().counts.messages ?? {};
      return news + known === 1;
    });
    expect(test().revision).equal(2);
  });

  it('makes a content of so many characters, and shows it nowhere', async () => {
    google().secret('key', ['one']);
    await start({ secrets: [key] });
    const config = await test().connect();
    const { code, stdout } = await hotconf('rotate', 'key', '--generate', '40', '--json');
    expect(code).equal(0);
    expect(JSON.parse(stdout)).include({ status: 'success', outcome: 'rotated', version: 2 });
    expect(config.settings.llm.key).match(/^[\w-]{40}$/);
    test().canaries.push(config.settings.llm.key);
    expect(stdout).not.contain(config.settings.llm.key);
  });

  it('is taken back when the schema rejects the new content', async () => {
    google().secret('url', ['url-one']);
    await start({ secrets: [{ secret: 'url', at: 'database.url' }] });
    const config = await test().connect();
    const short = test().scratch.write('next', 'x');
    const { code, stdout } = await hotconf('rotate', 'url', '--data-file', short);
    expect(code).equal(1);
    expect(stdout).contain('rejected: ').contain('database.url').contain('is disabled again');
    expect(config.settings.database.url).equal('url-one');
    expect(
      google()
        .store.getSecret(google().name('url'))
        .versions.map(({ state }) => state),
    ).deep.equal(['ENABLED', 'DISABLED']);
    expect(source().state).equal('current');
  });

  it('is taken back when the new content cannot be read', async () => {
    google().secret('key', ['{"key":"one"}']);
    await start({ secrets: [{ secret: 'key', at: 'llm', format: 'json' }] });
    const { code } = await hotconf('rotate', 'key', '--data-file', test().scratch.write('next', '{ no json'));
    expect(code).equal(1);
    expect(states()).deep.equal(['ENABLED', 'DISABLED']);
    await until('the source is well', () => source().state === 'current');
  });

  const onlyOne = (key: string) => {
    if (key !== 'one') throw new Error('the provider knows no such key');
  };

  it('is taken back when a program that tries it rejects it, and nobody ever has it', async () => {
    google().secret('key', ['one']);
    await start({ secrets: [key] });
    const easy = await test().connect({ name: 'easy' });
    await test().connect({ name: 'strict', verify: ({ llm }) => onlyOne(llm.key) });
    const { code, stdout } = await hotconf('rotate', 'key', '--data-file', test().scratch.write('next', 'two'));
    expect(code).equal(1);
    expect(stdout).contain('strict').contain('the provider knows no such key').contain('version 2');
    expect(states()).deep.equal(['ENABLED', 'DISABLED']);
    await until('the source is well', () => source().state === 'current');
    expect(easy.snapshot.revision).equal(1);
  });

  it('is taken back when a program rejects it, and says which and why; the others are back, too', async () => {
    google().secret('key', ['one']);
    await start({ secrets: [key] });
    const [easy, strict] = [await test().connect({ name: 'easy' }), await test().connect({ name: 'strict' })];
    strict.watch('llm.key', onlyOne);
    const { code, stdout } = await hotconf('rotate', 'key', '--data-file', test().scratch.write('next', 'two'));
    expect(code).equal(1);
    expect(stdout).contain('strict').contain('the provider knows no such key').contain('version 2');
    expect(states()).deep.equal(['ENABLED', 'DISABLED']);
    await until('all are back', () => easy.snapshot.revision === 3);
    expect([easy.settings.llm.key, strict.settings.llm.key]).deep.equal(['one', 'one']);
  });

  it('can replace one part of a JSON secret', async () => {
    google().secret('db', [JSON.stringify({ url: 'url-one', poolSize: 3 })]);
    await start({ secrets: [{ secret: 'db', at: 'database', format: 'json' }] });
    const config = await test().connect();
    const next = test().scratch.write('next', 'url-two');
    expect((await hotconf('rotate', 'db', '--at', 'database.url', '--data-file', next)).code).equal(0);
    expect(config.settings.database).deep.equal({ url: 'url-two', poolSize: 3 });
  });

  it('refuses what cannot be rotated, before anything is added', async () => {
    google().secret('key', ['one']);
    google().secret('text', ['one']);
    await start({
      secrets: [
        { ...key, version: 1 },
        { secret: 'text', at: 'extra' },
      ],
    });
    const next = test().scratch.write('next', 'two');
    for (const [args, code, words] of [
      [['nobody', '--data-file', next], 1, 'no such secret is served'],
      [['key', '--data-file', next], 77, 'pinned'],
      [['text', '--at', 'extra.part', '--data-file', next], 1, 'JSON secrets only'],
      [['text', '--at', 'llm', '--data-file', next], 1, 'not mounted at or above llm'],
      [['text'], 64, 'either --data-file or --generate'],
      [['text', '--generate', '3'], 64, 'from 16 to 4096'],
      [['text', '--data-file', '/nothing/there'], 66, 'ENOENT'],
      [['text', '--data-file', test().scratch.write('empty', '')], 65, 'is empty'],
    ] as const) {
      const done = await hotconf('rotate', ...args);
      expect(done, args.join(' ')).include({ code });
      expect(done.stderr).contain(words);
    }
    expect(google().store.faults.count('AddSecretVersion')).equal(0);
    google().store.faults.add({ method: 'AddSecretVersion', status: 'PERMISSION_DENIED' });
    const denied = await hotconf('rotate', 'text', '--data-file', next);
    expect(denied.stderr).contain('roles/secretmanager.secretVersionAdder');
    expect(denied.code).equal(77);
  });

  it('says so when the version cannot be disabled again', async () => {
    google().secret('url', ['url-one']);
    await start({ secrets: [{ secret: 'url', at: 'database.url' }] });
    google().store.faults.add({ method: 'DisableSecretVersion', status: 'PERMISSION_DENIED' });
    const { code, stdout } = await hotconf('rotate', 'url', '--data-file', test().scratch.write('next', 'x'));
    expect(code).equal(1);
    expect(stdout).contain('could not be disabled').contain('roles/secretmanager.secretVersionManager');
  });

  it('is refused before anything is added where no program would get it: pinned, or given by another source', async () => {
    google().secret('key', ['one']);
    test().env = { APP_DATABASE__URL: 'postgres://from-env' };
    google().secret('url', ['postgres://one']);
    const secrets = [key, { secret: 'url', at: 'database.url' }];
    await start({ secrets }, { sources: { env: { prefix: 'APP_' } } });
    const file = test().scratch.write('next', 'x');
    const shadowed = await hotconf('rotate', 'url', '--data-file', file);
    expect(shadowed.code).equal(77);
    expect(shadowed.stderr).contain('database.url is given by');
    test().scratch.write('secrets/app.yaml', `database: { url: ${test().canary()} }\nfeatures: { beta: true }\n`);
    await until('it is committed', () => test().revision === 2);
    await test().daemon!.rollback({ to: 1 }, { by: 'operator' });
    const pinned = await hotconf('rotate', 'key', '--data-file', file);
    expect(pinned.code).equal(77);
    expect(pinned.stderr).contain('is pinned').contain('hotconf unpin');
    expect(states()).deep.equal(['ENABLED']);
  });

  it('is over when all run it, whatever is staged on top of it', async () => {
    google().secret('key', ['one']);
    const rollout = { strategy: 'canary', canary: { subscribers: ['p1'], share: '0%', bake: '700ms' } };
    await start({ secrets: [key] }, { rollout });
    const [p1, p2] = [await test().connect({ name: 'p1' }), await test().connect({ name: 'p2' })];
    const next = test().canary();
    const rotated = hotconf('rotate', 'key', '--data-file', test().scratch.write('next', next));
    await until('the first has it', () => p1.settings.llm.key === next);
    test().scratch.write('defaults.yaml', 'database: { poolSize: 6 }\nfeatures: { beta: true }\n');
    await until('something is staged on top', () => p1.settings.features.beta === true);
    expect(p2.settings.llm.key).equal('one');
    expect(await rotated).include({ code: 0 });
    expect(p2.settings.llm.key).equal(next);
  });

  it('is open to a program whose view may rotate, and to no other', async () => {
    google().secret('key', ['one']);
    await start({ secrets: [key] });
    const config = await test().connect();
    expect(config.supportsRotation).equal(false);
    const refused = await config.rotateSecret('key', 'two').catch((error) => error);
    expect(refused).include({ code: 'not_allowed' });
    await test().stop();
    prepare({ secrets: [key] }, { views: { default: { mayRotate: true } } });
    await test().start();
    const allowed = await test().connect({ name: 'rotator' });
    expect(allowed.supportsRotation).equal(true);
    const next = test().canary();
    expect(await allowed.rotateSecret('key', next)).include({ outcome: 'rotated', version: 2 });
    expect(allowed.settings.llm.key).equal(next);
    expect(test().daemon!.reports.history()[0]).include({ cause: 'client', by: 'rotator' });
    const audited = () =>
      test()
        .scratch.read('state/audit-programs.jsonl')
        .split('\n')
        .filter((line) => line.includes('"rotate"'))
        .map((line) => JSON.parse(line));
    await until('it is written down', () => audited().length === 2);
    expect(audited().map(({ outcome, by, name }) => [outcome, by.kind, by.name, name])).deep.equal([
      ['asked', 'program', 'rotator', 'key'],
      ['rotated', 'program', 'rotator', 'key'],
    ]);
  });

  it('runs the operator’s command when it is due, with the secret’s name in its environment', async () => {
    google().secret('key', ['one']);
    const file = test().scratch.path('rotated');
    const command = [
      '/bin/sh',
      '-c',
      `echo "$HOTCONF_SECRET $HOTCONF_SECRET_NAME" > ${file}.tmp && mv ${file}.tmp ${file}`,
    ];
    await start({ secrets: [key], onRotate: { command } });
    google().store.rotationDue(google().name('key'));
    await until('it has run', () => existsSync(file));
    expect(readFileSync(file, 'utf8')).equal(`key ${google().name('key')}\n`);
    await until('its end is logged', () => test().logged('rotation_command_ended').length === 1);
  });

  it('runs that command at most once an hour for each secret, and says so once', async () => {
    google().secret('key', ['one']);
    google().secret('other', ['one']);
    const file = test().scratch.path('runs');
    const command = ['/bin/sh', '-c', `echo "$HOTCONF_SECRET" >> ${file}`];
    await start({ secrets: [key, { secret: 'other', at: 'extra.other' }], onRotate: { command } });
    const due = (name: string) => google().store.rotationDue(google().name(name));
    due('key');
    await until('it has run', () => test().logged('rotation_command_ended').length === 1);
    due('key');
    await until('it is limited', () => test().logged('rotation_limited').length === 1);
    for (let i = 0; i < 3; i++) due('key');
    due('other');
    await until('the other one has run', () => test().logged('rotation_command_ended').length === 2);
    expect(readFileSync(file, 'utf8')).equal('key\nother\n');
    expect(test().logged('rotation_limited')).length(1);
    expect(test().logged('rotation_limited')[0]).include({ level: 'warn' });
  });

  it('logs a command that fails', async () => {
    google().secret('key', ['one']);
    await start({ secrets: [key], onRotate: { command: ['/nothing/there'] } });
    google().store.rotationDue(google().name('key'));
    await until('it is logged', () => test().logged('rotation_command_failed').length === 1);
    expect(test().logged('rotation_command_failed')[0]!.message).contain('ENOENT');
  });
});
