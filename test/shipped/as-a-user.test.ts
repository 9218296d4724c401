import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { nobodysUid, nodeOf, nodesFor, useRunning, useShipped } from '../support/shipped.ts';
import { skipBecause } from '../support/skip.ts';

const schema = {
  type: 'object',
  required: ['database'],
  properties: { database: { type: 'object', properties: { url: { type: 'string' } } } },
};
const program = `import { connect } from 'hotconf';
const config = await connect({ name: 'program' });
console.log('has ' + config.settings.database.url);
config.watch('database', ({ url }) => console.log('now has ' + url));`;

describe('the tarball, as a user without rights has it', function () {
  this.timeout(60_000);
  const shipped = useShipped();
  const start = useRunning();
  let home: string;
  let temporary: string;
  let project: string;
  let installed: string;

  before(function () {
    if (process.getuid!() !== 0) return skipBecause(this, 'only root can become another user');
    installed = shipped().folder('installed');
    shipped().install(installed);
  });
  beforeEach(() => {
    const place = shipped().folder(`user-${Math.random().toString(36).slice(2)}`);
    [home, temporary, project] = ['home', 'tmp', 'home/project'].map((name) => join(place, name)) as [
      string,
      string,
      string,
    ];
    for (const folder of [home, temporary, project]) mkdirSync(folder);
    chmodSync(temporary, 0o1777);
    writeFileSync(join(project, 'package.json'), '{ "name": "project", "type": "module" }');
    execFileSync('ln', ['-s', join(installed, 'node_modules'), join(project, 'node_modules')]);
    writeFileSync(join(project, 'app.schema.json'), JSON.stringify(schema));
    writeFileSync(
      join(project, 'hotconf.yaml'),
      'schema: ./app.schema.json\nhotReload: true\nsources: { files: ./secrets }\n',
    );
    mkdirSync(join(project, 'secrets'));
    edit('one');
    writeFileSync(join(project, 'program.js'), program);
    execFileSync('chown', ['-R', `${nobodysUid}:${nobodysUid}`, home]);
  });
  const edit = (url: string) =>
    writeFileSync(join(project, 'secrets/app.yaml'), `database: { url: ${url} }\n`, { mode: 0o600 });
  const command = () => join(project, 'node_modules/hotconf/daemon/hotconf.cjs');
  const who = { uid: nobodysUid, gid: nobodysUid };
  const environment = (more: Record<string, string> = {}) => ({
    PATH: process.env.PATH!,
    HOME: home,
    TMPDIR: temporary,
    ...more,
  });
  const hotconf = (node: string, args: string[], env: Record<string, string>, options: object = who) =>
    spawnSync(node, [command(), ...args], { cwd: project, env, encoding: 'utf8', ...options });

  for (const [version, node] of nodesFor('.'))
    for (const isInSession of [false, true])
      it(`goes from the options file to a change in a program, on Node ${version}, with XDG variables ${isInSession ? '' : 'un'}set`, async function () {
        if (!node) return skipBecause(this, `Node ${version} is not here (npm run nodes)`);
        const session: Record<string, string> = isInSession
          ? { XDG_RUNTIME_DIR: join(temporary, 'session'), XDG_STATE_HOME: join(home, 'state') }
          : {};
        if (isInSession) {
          mkdirSync(session.XDG_RUNTIME_DIR!, { mode: 0o700 });
          execFileSync('chown', [`${nobodysUid}`, session.XDG_RUNTIME_DIR!]);
        }
        const env = environment(session);
        const daemon = start(node, [command(), 'start'], { cwd: project, env, ...who });
        await daemon.says('"event":"daemon_ready"');
        await daemon.says('Then edit and save a file in ./secrets');
        const folder = isInSession
          ? join(session.XDG_RUNTIME_DIR!, 'hotconf')
          : join(temporary, `hotconf-${nobodysUid}`);
        const listed = execFileSync('stat', ['-c', '%a %u', folder], { encoding: 'utf8' });
        expect(listed.trim()).equal(`700 ${nobodysUid}`);
        const running = start(node, ['program.js'], { cwd: project, env, ...who });
        await running.says('has one');
        edit('two');
        await running.says('now has two');
        const { stdout, status } = hotconf(node, ['status'], env);
        expect(stdout)
          .match(/^revision 2, .* development, ready\n/)
          .contain(join(project, 'hotconf.yaml'));
        expect(status).equal(0);
        // A shell with a session's variables finds it too, unless only others name its folder.
        if (!isInSession)
          expect(
            hotconf(node, ['get', 'database.url', '--reveal'], environment({ XDG_RUNTIME_DIR: '/run/user/0' })).stdout,
          ).equal('two\n');
        expect(await daemon.stop()).equal(0);
      });

  it('says in one sentence which Node it needs, on one that is too old', function () {
    const [oldest] = nodesFor('client');
    const old = nodeOf(oldest![0]);
    if (!old) return skipBecause(this, `Node ${oldest![0]} is not here (npm run nodes)`);
    for (const args of [['start'], ['status'], ['--version']])
      expect(hotconf(old, args, environment())).include({
        status: 78,
        stdout: '',
        stderr: `hotconf needs Node 22.22 or newer; this is ${oldest![0]} (${old})\n`,
      });
  });

  it('does not promise what does not come: hot reload that is off', async () => {
    writeFileSync(join(project, 'hotconf.yaml'), 'schema: ./app.schema.json\nsources: { files: ./secrets }\n');
    const daemon = start(process.execPath, [command(), 'start'], { cwd: project, env: environment(), ...who });
    await daemon.says('Hot reload is off');
    expect(daemon.output).contain('hotReload: true').not.contain('edit and save');
    edit('two');
    expect(hotconf(process.execPath, ['reload'], environment()).stdout).equal(
      'committed: revision 2\n  ~ database.url\n',
    );
  });

  it('names every place in which it has looked for a daemon', async () => {
    const env = environment({ XDG_RUNTIME_DIR: join(temporary, 'session') });
    const { stderr, status } = hotconf(process.execPath, ['status'], env);
    expect(status).equal(69);
    for (const place of [
      join(project, '.hotconf/admin.sock'),
      join(temporary, 'session/hotconf/admin.sock'),
      '/run/hotconf/admin.sock',
    ])
      expect(stderr).contain(place);
    const lost = spawnSync(
      process.execPath,
      ['--input-type=module', '-e', "import { connect } from 'hotconf'; await connect({ timeoutMs: 200 });"],
      { cwd: project, env, encoding: 'utf8', ...who },
    );
    for (const place of [
      join(project, '.hotconf/default.sock'),
      join(temporary, 'session/hotconf/default.sock'),
      '/run/hotconf/default.sock',
    ])
      expect(lost.stderr).contain(place);
  });

  it('finds the daemon of the system from a login session, and from a project', async function () {
    if (spawnSync('unshare', ['-m', 'true']).status !== 0)
      return skipBecause(this, 'this machine does not let it mount');
    // As systemd gives a service its folder; and as pam_systemd gives a session one of its own.
    const script = `
      set -e
      mount --make-rprivate / && mount -t tmpfs -o mode=0755 tmpfs /run && mkdir -m 0751 /run/hotconf && chown ${nobodysUid}:${nobodysUid} /run/hotconf
      mkdir -p -m 0700 /run/user/0
      export HOTCONF_CONFIG=${join(project, 'hotconf.yaml')}
      as="setpriv --reuid ${nobodysUid} --regid ${nobodysUid} --clear-groups"
      RUNTIME_DIRECTORY=/run/hotconf STATE_DIRECTORY=${join(home, 'state')} $as ${process.execPath} ${command()} start & pid=$!
      for i in $(seq 100); do [ -S /run/hotconf/default.sock ] && break; sleep 0.1; done
      unset HOTCONF_CONFIG
      cd /
      XDG_RUNTIME_DIR=/run/user/0 ${process.execPath} ${command()} status
      XDG_RUNTIME_DIR=/run/user/0 ${process.execPath} ${command()} get database.url --reveal
      cd ${project} && XDG_RUNTIME_DIR=/run/user/7 HOME=${home} $as ${process.execPath} --input-type=module -e "import { connect } from 'hotconf'; const c = await connect({ keepAlive: false }); console.log('found ' + c.settings.database.url)"
      kill $pid; wait $pid`;
    mkdirSync(join(home, 'state'), { mode: 0o700 });
    execFileSync('chown', [`${nobodysUid}`, join(home, 'state')]);
    const running = start('unshare', ['-m', 'sh', '-c', script], { env: environment() });
    expect(await running.ended, running.output).equal(0);
    expect(running.output)
      .match(/^revision 1, .* old/m)
      .match(/^one$/m)
      .match(/^found one$/m);
  });
});
