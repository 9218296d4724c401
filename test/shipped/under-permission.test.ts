import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { stringify } from 'yaml';
import { readSocket } from '../support/ask-socket.ts';
import { exampleOptions } from '../support/example.ts';
import { nobodysUid, nodesFor, type Running, useRunning, useShipped } from '../support/shipped.ts';
import { skipBecause } from '../support/skip.ts';
import { until } from '../support/until.ts';
import { appSchema } from '../support/use-daemon.ts';

const config = resolve(import.meta.dirname, '../../config');
const read = (name: string) => readFileSync(join(config, name), 'utf8');

/** The words after which systemd starts Node. */
function unitArguments(): string[] {
  const [, line] = /^ExecStart=((?:.*\\\n)*.*)$/m.exec(read('systemd/hotconf.service'))!;
  return line!.replaceAll('\\\n', ' ').trim().split(/\s+/).slice(1);
}

/** Those of the container, which are in two places. */
function containerArguments(): string[] {
  const file = read('container/Containerfile');
  const list = (name: string) => JSON.parse(new RegExp(`^${name} (\\[.*\\])$`, 'm').exec(file)![1]!) as string[];
  return [...list('ENTRYPOINT').slice(1), ...list('CMD')];
}

/** Whether this machine lets the test have a view of the file system of its own. */
const canMount = () => spawnSync('unshare', ['-m', 'true']).status === 0;

for (const [name, args, layout] of [
  ['the systemd unit', unitArguments(), '/opt/hotconf/lib'],
  ['the container', containerArguments(), 'image'],
] as const)
  describe(`the tarball under the flags of ${name}`, function () {
    this.timeout(60_000);
    const shipped = useShipped();
    const run = useRunning();
    let place: string;
    const at = (...names: string[]) => join(place, ...names);

    before(function () {
      if (!canMount()) skipBecause(this, 'this machine does not let it mount');
      const folder = shipped().folder(`opt-${layout === 'image' ? 'image' : 'unit'}`);
      if (layout === 'image') {
        // As the Containerfile lays it: the package at the top, what it depends on inside of it.
        const scratch = shipped().folder('scratch');
        const installed = shipped().install(scratch);
        cpSync(installed, folder, { recursive: true });
        renameSync(join(scratch, 'node_modules'), join(folder, 'node_modules'));
        rmSync(join(folder, 'node_modules/hotconf'), { recursive: true });
      } else shipped().install(join(folder, 'lib'));
    });

    beforeEach(() => {
      place = shipped().folder(`place-${Math.random().toString(36).slice(2)}`);
      mkdirSync(at('etc/hotconf'), { recursive: true });
      for (const file of ['passwd', 'group', 'ssl', 'nsswitch.conf'])
        cpSync(`/etc/${file}`, at('etc', file), { recursive: true, errorOnExist: false, dereference: false });
      for (const folder of ['run', 'state']) mkdirSync(at(folder), { mode: 0o750 });
      writeFileSync(at('etc/hotconf/app.schema.json'), JSON.stringify(appSchema));
      writeFileSync(at('etc/hotconf/defaults.yaml'), 'database: { poolSize: 5 }\n');
      writeFileSync(at('etc/hotconf/lkg.key'), `${Buffer.alloc(32, 1).toString('base64')}\n`, { mode: 0o600 });
      secret('secrets/app.yaml', 'value-0');
      execFileSync('chown', ['-R', `${nobodysUid}:${nobodysUid}`, at('run'), at('state'), at('etc/hotconf')]);
    });

    const secret = (path: string, url: string) => {
      mkdirSync(join(at('etc/hotconf'), path, '..'), { recursive: true });
      // Readable as Kubernetes and Docker mount them, and in a folder that others may not enter.
      writeFileSync(at('etc/hotconf', path), `database: { url: ${url} }\n`, { mode: 0o644 });
      chmodSync(at('etc/hotconf', path), 0o600);
      execFileSync('chown', ['-R', `${nobodysUid}`, at('etc/hotconf')]);
    };

    /** Starts it as the service file does, at the very places that it names, as a user without rights. */
    const start = async (
      files: unknown = [{ path: './secrets' }],
      node: string = process.execPath,
    ): Promise<Running> => {
      const options = {
        ...exampleOptions,
        runtimeDir: '/run/hotconf',
        stateDir: '/var/lib/hotconf',
        sources: { defaults: './defaults.yaml', files },
        lastKnownGood: { keyFile: './lkg.key' },
        // What arrives in time arrives by an event.
        reload: { rescan: '10m' },
      };
      writeFileSync(at('etc/hotconf/hotconf.yaml'), stringify(options));
      const opt = shipped().folder(`opt-${layout === 'image' ? 'image' : 'unit'}`);
      const script = `
        set -e
        mount --make-rprivate /
        mount -t tmpfs tmpfs /opt && mkdir /opt/hotconf && mount --bind ${opt} /opt/hotconf
        mount -t tmpfs tmpfs /var/lib && mkdir /var/lib/hotconf && mount --bind ${at('state')} /var/lib/hotconf
        mount -t tmpfs tmpfs /run && mkdir /run/hotconf && mount --bind ${at('run')} /run/hotconf
        mount --bind ${at('etc')} /etc
        exec setpriv --reuid ${nobodysUid} --regid ${nobodysUid} --clear-groups "$@"`;
      const command = ['-m', 'sh', '-c', script, 'sh', node, ...args];
      const env = { PATH: process.env.PATH!, RUNTIME_DIRECTORY: '/run/hotconf', STATE_DIRECTORY: '/var/lib/hotconf' };
      const daemon = run('unshare', command, { env });
      await daemon.says('"event":"daemon_ready"');
      return daemon;
    };
    const revision = async () => {
      const metrics = await readSocket(at('run/admin.sock'), '/metrics');
      return Number(/^config_snapshot_revision (\d+)$/m.exec(metrics)![1]);
    };
    const status = async () => JSON.parse(await readSocket(at('run/admin.sock'), '/admin/status'));
    /** What was noticed that the last reload was for. */
    const noticed = (daemon: Running) =>
      daemon.output
        .split('\n')
        .filter((line) => line.includes('"config_reload_started"'))
        .map((line) => JSON.parse(line).hints as string[])
        .at(-1)!;

    const ways: Record<string, () => void> = {
      'an edit in place': () => secret('secrets/app.yaml', 'value-1'),
      'a rename over it': () => {
        secret('new.yaml', 'value-1');
        renameSync(at('etc/hotconf/new.yaml'), at('etc/hotconf/secrets/app.yaml'));
      },
      'a folder that takes its place': () => {
        secret('other/app.yaml', 'value-1');
        renameSync(at('etc/hotconf/secrets'), at('etc/hotconf/old'));
        renameSync(at('etc/hotconf/other'), at('etc/hotconf/secrets'));
      },
    };
    for (const [way, act] of Object.entries(ways))
      it(`sees ${way} by an event`, async () => {
        const daemon = await start();
        const { sources } = await status();
        expect(sources.map(({ watch }: { watch: string }) => watch)).deep.equal(['watching', 'watching']);
        act();
        await until('it is committed', async () => (await revision()) === 2);
        expect(noticed(daemon)).not.contain('rescan');
        expect(daemon.output).not.match(/watch_degraded|ERR_ACCESS_DENIED/);
        expect(await daemon.stop()).equal(0);
      });

    for (const [version, node] of nodesFor('.').slice(0, layout === 'image' ? 0 : 1))
      it(`sees an edit in place and a rename by an event on the oldest Node, ${version}`, async function () {
        if (!node) return skipBecause(this, `Node ${version} is not here (npm run nodes)`);
        const daemon = await start(undefined, node);
        secret('secrets/app.yaml', 'value-1');
        await until('the edit is committed', async () => (await revision()) === 2);
        expect(noticed(daemon)).not.contain('rescan');
        secret('new.yaml', 'value-2');
        renameSync(at('etc/hotconf/new.yaml'), at('etc/hotconf/secrets/app.yaml'));
        await until('the rename is committed', async () => (await revision()) === 3);
        expect(noticed(daemon)).not.contain('rescan');
        expect(await daemon.stop()).equal(0);
      });

    it('sees the ..data swap of Kubernetes by an event', async () => {
      const mount = at('etc/hotconf/mounted');
      secret('mounted/..1/app.yaml', 'value-0');
      symlinkSync('..1', join(mount, '..data'));
      symlinkSync('..data/app.yaml', join(mount, 'app.yaml'));
      const daemon = await start([{ path: './mounted' }]);
      secret('mounted/..2/app.yaml', 'value-1');
      symlinkSync('..2', join(mount, '..data_tmp'));
      renameSync(join(mount, '..data_tmp'), join(mount, '..data'));
      await until('it is committed', async () => (await revision()) === 2);
      expect(noticed(daemon)).not.contain('rescan');
      expect(await daemon.stop()).equal(0);
    });

    it('says that it polls where a folder may be read and not watched, and does so', async () => {
      // What is allowed is the file alone; its folder is not.
      const only = ['--allow-fs-read=/etc/passwd', '--allow-fs-read=/etc/group'];
      writeFileSync(at('etc/passwd.yaml'), 'database: { url: value-0 }\n', { mode: 0o600 });
      execFileSync('chown', [`${nobodysUid}`, at('etc/passwd.yaml')]);
      args.splice(0, 0, '--allow-fs-read=/etc/passwd.yaml');
      try {
        expect(args).include.members(only);
        const daemon = await start([{ path: '/etc/passwd.yaml' }]);
        const [, files] = (await status()).sources;
        expect(files).include({ watch: 'polling', state: 'current' });
        await daemon.says('"event":"watch_degraded"');
        expect(daemon.output).contain('Node may not read /etc: start it with --allow-fs-read=/etc');
        expect((await status()).state).include({ kind: 'degraded' });
        writeFileSync(at('etc/passwd.yaml'), 'database: { url: value-1 }\n');
        await until('it is committed all the same', async () => (await revision()) === 2);
        expect(noticed(daemon)).contain('rescan');
        expect(await daemon.stop()).equal(0);
      } finally {
        args.splice(0, 1);
      }
    });
  });
