import { execFileSync } from 'node:child_process';
import { chmodSync, symlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadOptions } from '../../daemon/ops/options-file.ts';
import { hotconf, useProcesses } from '../support/daemon-process.ts';
import { exampleOptions, layExample } from '../support/example.ts';
import { useScratch } from '../support/scratch.ts';
import { until } from '../support/until.ts';

describe('the command line', function () {
  // Each command is a process of its own, and three files run at a time.
  this.timeout(60_000);
  const scratch = useScratch();
  const run = useProcesses();
  const config = () => scratch().path('hotconf.yaml');
  const ask = (...args: string[]) => hotconf([...args, '--config', config()]);
  const edit = (url: string) => scratch().write('secrets/app.yaml', `database: { url: ${url} }\n`);
  const start = (options = {}) => run(['start', '--config', layExample(scratch(), options)]).ready();

  it('logs daemon_ready with what it watches and where it is, and shows a person what to do next', async () => {
    const daemon = await start({ environment: 'development', hotReload: true });
    const [ready] = daemon.logged('daemon_ready');
    expect(ready).include({ revision: 1, environment: 'development', hotReload: true });
    await until('its places are logged', () => daemon.logged('daemon_places').length === 1);
    expect(daemon.logged('daemon_places')[0]!.sockets).deep.equal({
      default: scratch().path('run/default.sock'),
      admin: scratch().path('run/admin.sock'),
    });
    await until('the screen is there', () => daemon.stderr.includes('Ctrl-C'));
    expect(daemon.stderr).contain('npx hotconf watch').contain('./secrets').contain('default.sock');
  });

  it('status: as a table, and as JSON', async () => {
    const daemon = await start();
    const { stdout, code } = await ask('status');
    expect(code).equal(0);
    expect(stdout)
      .match(/^revision 1, .* old .*, production, ready\n/)
      .contain('files:./secrets  current  watching');
    expect(JSON.parse((await ask('status', '--json')).stdout)).include({ revision: 1, pid: daemon.child.pid });
  });

  it('get: hides secrets, shows them when asked, takes a path', async () => {
    await start();
    expect(JSON.parse((await ask('get', '--json')).stdout)).deep.equal({
      database: { poolSize: 5, url: '[redacted]' },
      features: { beta: false },
    });
    expect((await ask('get', 'database.url')).stdout).equal('[redacted]\n');
    expect((await ask('get', 'database.url', '--reveal')).stdout).equal('value-0\n');
    expect((await ask('get', 'database', '--reveal')).stdout).equal('poolSize: 5\nurl: value-0\n');
    expect(await ask('get', 'no.such')).include({
      code: 1,
      lastWords: 'hotconf: no.such: there is no such setting (see `hotconf get` for all of them)',
    });
    const socket = scratch().path('run/default.sock');
    expect((await hotconf(['get', 'database.poolSize', '--socket', socket])).stdout).equal('5\n');
  });

  it('watch: a line for each change, of the paths asked for, as text and as JSON', async () => {
    await start();
    const all = run(['watch', '--json', '--config', config()]);
    const some = run(['watch', 'features', '--config', config()]);
    await until('both watch', () => all.stderr.includes('watching') && some.stderr.includes('watching'));
    edit('value-1');
    await until('the line is there', () => all.stdout.includes('\n'));
    scratch().write('secrets/f.yaml', 'features: { beta: true }\n');
    await until('the other is there', () => some.stdout.includes('\n'));
    const [first] = all.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(first).deep.include({ revision: 2, changed: ['database.url'], removed: [], cause: 'file' });
    expect(Date.parse(first.at)).within(Date.now() - 10_000, Date.now());
    expect(some.stdout).match(/^\S+ \S+ {2}revision 3 {2}file {2}features\.beta\n$/);
    expect(await all.kill('SIGTERM')).equal(0);
  });

  it('watch: shows an operator what was rejected, which source is stale and well again, and who went back', async () => {
    await start();
    const json = run(['watch', '--json', '--config', config()]);
    const text = run(['watch', '--config', config()]);
    const old = run(['watch', '--json', '--changes-only', '--config', config()]);
    const all = [json, text, old];
    await until('all watch', () => all.every(({ stderr }) => stderr.includes('watching')));
    const lines = () =>
      json.stdout
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line));
    const kinds = () => lines().map(({ kind }) => kind);
    scratch().write('secrets/app.yaml', 'database: { url: 5 }\n');
    await until('the line is there', () => kinds().includes('rejected') && kinds().includes('stale'));
    expect(lines().find(({ kind }) => kind === 'rejected')).include({ code: 'settings_invalid', revision: 1 });
    expect(lines().find(({ kind }) => kind === 'stale')).include({ source: 'files:./secrets' });
    await until('for people, too', () =>
      /^\S+ \S+ {2}rejected {2}secrets\/app\.yaml:1: database\.url: must be string .*; revision 1 stays$/m.test(
        text.stdout,
      ),
    );
    edit('value-1');
    await until('it recovers', () => kinds().includes('committed') && kinds().includes('recovered'));
    expect((await ask('rollback', '1', '--reason', 'too early')).code).equal(0);
    await until('the rollback is told', () => kinds().includes('rollback'));
    expect(lines().find(({ kind }) => kind === 'rollback')).deep.include({
      to: 1,
      revision: 3,
      reason: 'too early',
      changed: ['database.url'],
    });
    expect(text.stdout).match(/revision 3 {2}rollback to 1 by uid \d+ "too early" {2}database\.url$/m);
    await until('the other has all changes', () => old.stdout.split('\n').length === 3);
    const plain = old.stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
    expect(plain.map(({ kind, revision }) => [kind, revision])).deep.equal([
      ['committed', 2],
      ['committed', 3],
    ]);
    expect(kinds().filter((kind) => kind === 'committed')).length(1);
  });

  it('watch: says why a change shows nothing when another source gives the value', async () => {
    scratch().write('app.env', 'APP_FEATURES__BETA=true\n');
    const sources = { ...exampleOptions.sources, env: { prefix: 'APP_', files: ['./app.env'] } };
    await start({ sources });
    const text = run(['watch', '--config', config()]);
    await until('it watches', () => text.stderr.includes('watching'));
    scratch().write('defaults.yaml', 'features: { beta: true }\ndatabase: { poolSize: 5 }\n');
    await until('the line is there', () => text.stdout.includes('unchanged'));
    expect(text.stdout).match(/unchanged {2}features\.beta changed in \.\/defaults\.yaml, but \.\/app\.env gives it/);
    expect((await ask('history')).stdout).contain('but ./app.env gives it');
  });

  it('history: marks what a rollback can go back to, whatever came after it', async () => {
    const daemon = await start({ lastKnownGood: { keep: 2 } });
    for (const [i, url] of ['value-1', 'value-2', 'value-3'].entries()) {
      edit(url);
      await until(url, () => daemon.logged('config_reload_completed').length === i + 2);
    }
    expect((await ask('reload')).stdout).equal('unchanged: revision 4\n');
    const records: { revision: number; outcome: string; kept?: boolean }[] = JSON.parse(
      (await ask('history', '--json')).stdout,
    );
    expect(records.filter(({ kept }) => kept).map(({ revision, outcome }) => [revision, outcome])).deep.equal([
      [3, 'committed'],
    ]);
    expect((await ask('rollback', '3')).code).equal(0);
    expect((await ask('rollback', '1')).lastWords).contain('is not kept');
  });

  it('ready: 0 when it serves, 69 when nobody answers', async () => {
    layExample(scratch());
    expect((await ask('ready')).code).equal(69);
    await start();
    expect(await ask('ready')).include({ code: 0, stdout: 'ready\n' });
    expect(await ask('ready', '--live')).include({ code: 0, stdout: 'alive\n' });
  });

  it('status: which host and options file; get: what was likely meant', async () => {
    await start();
    expect((await ask('status')).stdout).contain(`${hostname()}, ${config()}`);
    expect((await ask('get', 'databse.url')).lastWords).contain('did you mean database.url?');
  });

  it('reload: tells the outcome and who took it; a rejected one exits 1 with its issues', async () => {
    await start({ hotReload: false });
    expect(await ask('reload')).include({ code: 0, stdout: 'unchanged: revision 1\n' });
    edit('value-1');
    expect((await ask('reload', '--dry-run')).stdout).equal('would change\n  ~ database.url\n');
    expect((await ask('reload', '--reason', 'because')).stdout).equal('committed: revision 2\n  ~ database.url\n');
    scratch().write('secrets/app.yaml', 'database: { url: 5 }\n');
    const rejected = await ask('reload');
    expect(rejected.code).equal(1);
    expect(rejected.stdout)
      .contain('rejected: secrets/app.yaml:1: database.url: must be string')
      .contain('  database.url: must be string\n');
    expect((await ask('reload', '--dry-run')).code).equal(1);
    expect(JSON.parse((await ask('reload', '--json')).stdout)).include({
      status: 'error',
      outcome: 'rejected',
      code: 'settings_invalid',
    });
  });

  it('history: newest first, rejected reloads too', async () => {
    const daemon = await start();
    edit('value-1');
    await until('revision 2', () => daemon.logged('config_reload_completed').length === 2);
    scratch().write('secrets/app.yaml', 'database: { url: 5 }\n');
    await until('the rejection', () => daemon.logged('config_reload_failed').length === 1);
    const records = JSON.parse((await ask('history', '--json')).stdout);
    expect(
      records.map(({ outcome, revision }: { outcome: string; revision: number }) => [outcome, revision]),
    ).deep.equal([
      ['rejected', 2],
      ['committed', 2],
      ['committed', 1],
    ]);
    expect((await ask('history')).stdout.split('\n')[1]).match(
      /revision 2 {2}committed {2}file {2}[\d.]+ ms {2}database\.url$/,
    );
  });

  it('explain: the source, the revision, and what it shadows', async () => {
    layExample(scratch());
    scratch().write('secrets/z.yaml', 'database: { poolSize: 8 }\n');
    const daemon = await run(['start', '--config', config()]).ready();
    edit('value-1');
    await until('revision 2', () => daemon.logged('config_reload_completed').length === 2);
    expect((await ask('explain', 'database.poolSize')).stdout).equal(
      'database.poolSize\n  from     files: secrets/z.yaml, since revision 1\n  shadows  defaults: ./defaults.yaml\n',
    );
    expect((await ask('explain', 'database.url')).stdout)
      .contain('database.url (secret)')
      .contain('since revision 2');
    expect(await ask('explain', 'no.such')).include({ code: 1 });
  });

  it('validate: needs no daemon', async () => {
    layExample(scratch());
    expect(await ask('validate')).include({ code: 0, stdout: 'valid\n' });
    scratch().write('secrets/app.yaml', 'database: { url: 5, poolSize: many, ulr: x }\n');
    const { code, stdout } = await ask('validate');
    expect(code).equal(65);
    expect(stdout.trim().split('\n')).have.members([
      "database: has a key that the schema does not know: 'ulr'; did you mean 'url'?",
      'database.url: must be string',
      'database.poolSize: must be integer',
    ]);
    expect(JSON.parse((await ask('validate', '--json')).stdout)).include({ valid: false });
  });

  it('says 69 when no daemon answers, 64 on bad usage, and helps', async () => {
    layExample(scratch());
    for (const command of [['status'], ['get'], ['watch'], ['reload'], ['explain', 'a'], ['history']]) {
      expect((await ask(...command)).code, command[0]).equal(69);
    }
    expect((await hotconf(['nonsense'])).code).equal(64);
    expect((await hotconf(['get', '--nonsense'])).code).equal(64);
    expect((await hotconf(['explain'])).code).equal(64);
    expect((await hotconf([])).code).equal(64);
    expect((await hotconf(['--version'])).stdout).match(/^\d+\.\d+\.\d+\n$/);
    const help = await hotconf(['--help']);
    for (const command of ['start', 'status', 'get', 'watch', 'reload', 'validate', 'explain', 'history'])
      expect(help.stdout).contain(command);
  });

  it('is the same when built, with a file that is parsed in a worker too', async () => {
    layExample(scratch());
    const section = Array.from({ length: 3_000 }, (_, i) => `  key${i}: value-${i}\n`).join('');
    scratch().write('secrets/large.yaml', `extra:\n${section}`);
    const built = join(import.meta.dirname, '../../daemon/hotconf.cjs');
    expect(execFileSync(process.execPath, [built, 'validate', '--config', config()], { encoding: 'utf8' })).equal(
      'valid\n',
    );
  });

  it('shows the words of others on one line, whatever is in them', async () => {
    await start();
    await ask('reload', '--reason', 'a\u001b[31mb\nforged line');
    expect((await ask('history')).stdout.split('\n')[0]).contain('"a?[31mb?forged line"');
  });

  it('takes files as plain texts, several defaults, files that are not secret, and a schema of draft-07', async () => {
    layExample(scratch(), { sources: { defaults: ['./defaults.yaml', './more.yaml'], files: './secrets' } });
    const schema = JSON.parse(scratch().read('app.schema.json'));
    scratch().write(
      'app.schema.json',
      JSON.stringify({ ...schema, $schema: 'http://json-schema.org/draft-07/schema#', requird: [] }),
    );
    scratch().write('more.yaml', 'database: { poolSize: 7 }\n');
    const validated = await ask('validate');
    expect(validated).include({ code: 0, stdout: 'valid\n' });
    expect(validated.stderr).contain('unknown keyword: "requird"');
    const files = [{ path: './secrets', secret: false }];
    await start({ sources: { defaults: ['./defaults.yaml', './more.yaml'], files } });
    expect((await ask('get', 'database.poolSize')).stdout).equal('7\n');
    expect((await ask('get', 'database.url')).stdout).equal('value-0\n');
  });

  it('knows environments by any name, and which defaults hold by their profile', () => {
    const load = (options: Record<string, unknown>, env = {}) => loadOptions(layExample(scratch(), options), env);
    const options = { environment: undefined, fileModeCheck: 'auto' };
    expect(load(options)).include({ environment: 'development', profile: 'development', hotReload: false });
    expect(load(options, { NODE_ENV: 'test' })).include({ environment: 'test', profile: 'development' });
    expect(load({ environment: 'qa' }, { NODE_ENV: 'test' })).include({
      environment: 'qa',
      profile: 'production',
      hotReload: true,
    });
    expect(load({ environment: 'qa', profile: 'development' })).include({ fileModeCheck: 'warn', hotReload: false });
    expect(load({ environment: 'qa' }, { HOTCONF_ENV: 'staging' })).include({
      environment: 'staging',
      fileModeCheck: 'strict',
    });
  });

  it('finds its options by HOTCONF_CONFIG and in the usual places', async () => {
    layExample(scratch());
    expect((await hotconf(['validate'], { cwd: scratch().folder })).stdout).equal('valid\n');
    expect((await hotconf(['validate'], { cwd: '/', env: { ...process.env, HOTCONF_CONFIG: config() } })).stdout).equal(
      'valid\n',
    );
    expect(await hotconf(['validate'], { cwd: '/' })).include({ code: 66 });
  });
});

describe('a start that cannot succeed says why in its last line, and exits with its code', () => {
  const scratch = useScratch();

  const cases: readonly [
    what: string,
    code: number,
    says: RegExp,
    harm: () => string | undefined,
    env?: NodeJS.ProcessEnv,
  ][] = [
    ['a missing options file', 66, /no such file \(name an options file with --config\)/, () => '/no/such.yaml'],
    [
      'an unknown key',
      65,
      /hotconf\.yaml:\d+: sources: unknown key 'flies'; did you mean 'files'\?/,
      () => lay({ sources: { flies: [] } }),
    ],
    ['a wrong type', 65, /hotconf\.yaml:\d+: hotReload: must be boolean/, () => lay({ hotReload: 'sometimes' })],
    [
      'a wrong duration',
      65,
      /hotconf\.yaml:\d+: reload\.quiet: must be a duration like 250ms/,
      () => lay({ reload: { quiet: '50' } }),
    ],
    [
      'options that are no YAML',
      65,
      /hotconf\.yaml:2:1: a tab is used for indentation/,
      () => [lay(), scratch().write('hotconf.yaml', 'sources:\n\tfiles: []\n')].at(-1),
    ],
    [
      'a variable that is not set',
      65,
      /hotconf\.yaml:1: the environment has no NO_SUCH_VARIABLE/,
      () => [lay(), scratch().write('hotconf.yaml', 'schema: ${NO_SUCH_VARIABLE}\nsources: {}\n')].at(-1),
    ],
    [
      'a group that is not there',
      78,
      /no group 'nobodys'/,
      () => lay({ views: { web: { group: 'nobodys' } }, admin: own() }),
    ],
    [
      'an operator’s socket where programs of other users are let in',
      78,
      /admin\.socket: views\.web lets programs of other users into the folder of the operator's socket/,
      () => lay({ views: { web: { mode: '0666' } } }),
    ],
    [
      'a pattern that is none',
      78,
      /views\.web: 'a\.\.b' is not a pattern/,
      () => lay({ views: { web: { include: ['a..b'] } } }),
    ],
    [
      'a rule that cannot be kept',
      78,
      /views\.web\.allow needs to know who connects/,
      () => lay({ peerAuth: 'off', views: { web: { allow: { users: ['root'] } } }, admin: own() }),
    ],
    ['a bad HOTCONF_ENV', 78, /HOTCONF_ENV: is no name of an environment/, () => lay(), { HOTCONF_ENV: 'My Prod' }],
    [
      'a missing schema',
      66,
      /no-such\.json: the schema cannot be read: ENOENT/,
      () => lay({ schema: './no-such.json' }),
    ],
    [
      'a schema that is no JSON',
      65,
      /app\.schema\.json: is not valid JSON/,
      () => (scratch().write('app.schema.json', '{"type": object}'), undefined),
    ],
    [
      'a schema that is invalid itself',
      65,
      /app\.schema\.json: type: the schema is not valid/,
      () => (scratch().write('app.schema.json', '{"type": "objekt"}'), undefined),
    ],
    [
      'a schema of another draft',
      65,
      /neither draft 2020-12 nor draft-07/,
      () => (scratch().write('app.schema.json', '{"$schema": "http://json-schema.org/draft-04/schema#"}'), undefined),
    ],
    [
      'a schema that answers later',
      65,
      /\$async is not possible here/,
      () => (scratch().write('app.schema.json', '{"properties": {"a": {"$async": true}}}'), undefined),
    ],
    [
      'a time that would spin',
      65,
      /hotconf\.yaml: reload\.rescan: must be from 1s to 24h/,
      () => lay({ reload: { rescan: '0s' } }),
    ],
    [
      'a time that no timer can wait for',
      65,
      /rollout\.canary\.bake: must be from 0s to 168h/,
      () => lay({ rollout: { strategy: 'canary', canary: { bake: '720h' } } }),
    ],
    ['a missing secrets folder', 66, /no-such: is missing/, () => lay({ sources: { files: [{ path: './no-such' }] } })],
    [
      'an empty secrets file',
      65,
      /app\.yaml: is empty \(write \{\}/,
      () => (scratch().write('secrets/app.yaml', ''), undefined),
    ],
    [
      'settings that break the schema',
      65,
      /secrets\/app\.yaml:1: database\.url: must be string/,
      () => (scratch().write('secrets/app.yaml', 'database: { url: 5 }\n'), undefined),
    ],
    [
      'a missing required key',
      65,
      /database\.url: is required and missing/,
      () => (scratch().write('secrets/app.yaml', 'features: {}\n'), undefined),
    ],
    [
      'a variable that does not convert',
      65,
      /APP_DATABASE__POOL_SIZE is not a integer/,
      () => lay({ sources: { ...exampleOptions.sources, env: { prefix: 'APP_' } } }),
      { APP_DATABASE__POOL_SIZE: 'many' },
    ],
    [
      'a format that nothing tells',
      78,
      /secret\.bin: its name does not tell its format/,
      () => (scratch().write('secret.bin', 'x'), lay({ sources: { files: [{ path: './secret.bin' }] } })),
    ],
    [
      'a socket path that is too long',
      78,
      /needs 1\d\d bytes and Unix sockets have 107/,
      () => lay({ runtimeDir: `./${'long/'.repeat(20)}` }),
    ],
    [
      'a runtime folder that all may write to',
      77,
      /can be written by others \(chmod go-w .*run\)/,
      () => (scratch().write('run/x', ''), chmod('run', 0o777), undefined),
    ],
    [
      'a runtime folder that is a link',
      77,
      /is a link/,
      () => (scratch().write('elsewhere/x', ''), link('elsewhere', 'run'), undefined),
    ],
    [
      'a runtime folder that cannot be made',
      73,
      /the runtime folder cannot be made: (ENOTDIR|EEXIST)/,
      () => (scratch().write('file', ''), lay({ runtimeDir: './file/run' })),
    ],
    [
      'a state folder that cannot be made',
      73,
      /the state folder cannot be made: ENOTDIR/,
      () => (scratch().write('file', ''), lay({ stateDir: './file/state' })),
    ],
  ];

  const lay = (options = {}) => layExample(scratch(), options);
  const own = () => ({ socket: scratch().path('operators/admin.sock') });
  const chmod = (name: string, mode: number) => chmodSync(scratch().path(name), mode);
  const link = (to: string, name: string) => symlinkSync(scratch().path(to), scratch().path(name));

  for (const [what, code, says, harm, env = {}] of cases) {
    it(`${what}: ${code}`, async () => {
      lay();
      const file = harm() ?? scratch().path('hotconf.yaml');
      const run = await hotconf(['start', '--config', file.endsWith('.yaml') ? file : scratch().path('hotconf.yaml')], {
        env: { ...process.env, ...env },
      });
      expect(run.lastWords).match(says);
      expect(run.lastWords).match(/^hotconf: /);
      expect(run.code).equal(code);
    });
  }
});
