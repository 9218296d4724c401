import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { parseAllDocuments, parse as parseYaml } from 'yaml';
import { connect } from '../../client/connect.ts';
import { loadOptions } from '../../daemon/ops/options-file.ts';
import { AdminHttp, freePort } from '../support/admin-http.ts';
import { layExample } from '../support/example.ts';
import { NotifyReceiver } from '../support/notify-receiver.ts';
import { useScratch } from '../support/scratch.ts';
import { skipBecause } from '../support/skip.ts';
import { until } from '../support/until.ts';
import { type App, useDaemon } from '../support/use-daemon.ts';

const config = resolve(import.meta.dirname, '../../config');
const read = (name: string) => readFileSync(join(config, name), 'utf8');
/** Runs a tool on a file; `undefined` where it is not installed. */
const tool = (command: string, ...args: readonly string[]) => {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const { code, stdout, stderr } = error as NodeJS.ErrnoException & { stdout: string; stderr: string };
    if (code === 'ENOENT') return undefined;
    throw new Error(`${command} ${args.join(' ')}: ${stdout}${stderr}`);
  }
};

// biome-ignore lint/suspicious/noExplicitAny: documents of many kinds
type Manifest = any;

describe('the systemd unit', function () {
  this.timeout(30_000);
  const scratch = useScratch();
  const unit = read('systemd/hotconf.service');
  const [, execStart] = /^ExecStart=((?:.*\\\n)*.*)$/m.exec(unit)!;
  const words = execStart!.replaceAll('\\\n', ' ').split(/\s+/);

  it('is accepted by systemd, and leaves little to attack', function () {
    // That it names a node that is not on this machine is no fault of the unit.
    const file = scratch().write('hotconf.service', unit.replace('/usr/bin/node', process.execPath), 0o644);
    // It warns on stderr, and ends well all the same.
    const verify = (path: string) => spawnSync('systemd-analyze', ['verify', path], { encoding: 'utf8' });
    if (verify(file).error) return skipBecause(this, 'systemd-analyze is not installed');
    expect(verify(file)).include({ status: 0, stdout: '', stderr: '' });
    const spoilt = unit.replace('/usr/bin/node', process.execPath).replace('ProtectClock', 'ProtectClok');
    expect(verify(scratch().write('spoilt.service', spoilt, 0o644)).stderr, 'the check can fail').contain(
      'ProtectClok',
    );
    const exposure = (path: string) =>
      Number(
        /exposure level for hotconf\.service: ([\d.]+)/.exec(
          tool('systemd-analyze', 'security', '--offline=true', path)!,
        )![1],
      );
    expect(exposure(file)).at.most(1.5);
    scratch().write('hotconf.service.d/google.conf', read('systemd/google.conf'), 0o644);
    expect(exposure(file)).at.most(1.5);
  });

  it('is restarted after every failure that may pass, such as a source that is mounted late', () => {
    const [, codes] = /^RestartPreventExitStatus=(.*)$/m.exec(unit)!;
    // 66 and 69: a source that is missing or a server that is away at the start.
    expect(codes!.split(/\s+/)).not.include('66').not.include('69');
  });

  it('allows by --permission what a daemon needs, and nothing else; systemd is told how it is', async function () {
    const receiver = NotifyReceiver.open(scratch().path('notify'));
    if (!receiver) return skipBecause(this, 'there is no koffi');
    scratch().write('lkg.key', `${Buffer.alloc(32, 1).toString('base64')}\n`);
    // What arrives within the test arrives by an event.
    const reload = { rescan: '10m', startWait: '0s' };
    const file = layExample(scratch(), { lastKnownGood: { keyFile: './lkg.key' }, log: { level: 'debug' }, reload });
    for (const [name, mode] of [
      ['run', 0o750],
      ['state', 0o700],
    ] as const)
      mkdirSync(scratch().path(name), { mode });
    const root = resolve(config, '..');
    const places: Record<string, string> = {
      '/opt/hotconf': root,
      '/etc/hotconf': scratch().folder,
      '/run/hotconf': scratch().path('run'),
      '/var/lib/hotconf': scratch().path('state'),
    };
    // The same flags, with the places of this test.
    const [, ...args] = words.map((word) => {
      if (word.endsWith('main.js')) return join(root, 'dist/daemon/main.js');
      if (word.endsWith('hotconf.yaml')) return file;
      return word.replace(/(?<==)\/.*$/, (path) => places[path] ?? path);
    });
    const env = { PATH: process.env.PATH!, NOTIFY_SOCKET: receiver.path, WATCHDOG_USEC: '200000' };
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (piece) => {
        output += piece;
      });
    try {
      await until('it is ready', () => receiver.lines('READY').length > 0, 20_000).catch((error) => {
        throw new Error(output, { cause: error });
      });
      expect(receiver.lines('STATUS').at(-1)).equal('STATUS=serving revision 1 to 0 programs, ready');
      const program = await connect<App>({ socket: scratch().path('run/default.sock') });
      scratch().write('secrets/app.yaml', 'database: { url: url-2 }\n');
      await until('the edit arrives', () => program.settings.database.url === 'url-2');
      await program.close();
      expect(output, 'by an event, not by polling').not.contain('watch_degraded').not.contain('ERR_ACCESS_DENIED');
      scratch().write('secrets/app.yaml', 'database: [');
      await until('it says that it is stale', () =>
        receiver.lines('STATUS').at(-1)!.endsWith(', stale (source:files:./secrets)'),
      );
      scratch().write('secrets/app.yaml', 'database: { url: url-3 }\n');
      child.kill('SIGHUP');
      await until('it says that it reloads', () => receiver.lines('RELOADING').length === 1);
      await until('and that it has', () => receiver.lines('READY').length === 2);
      expect(Number(receiver.lines('MONOTONIC_USEC')[0]!.split('=')[1])).greaterThan(0);
      const beats = receiver.lines('WATCHDOG').length;
      await until('it is alive', () => receiver.lines('WATCHDOG').length > beats + 2);
    } finally {
      child.kill('SIGTERM');
      await new Promise((done) => child.once('close', done));
      receiver.close();
    }
    expect(receiver.lines('STOPPING')).deep.equal(['STOPPING=1']);
    expect(child.exitCode).equal(0);
  });
});

describe("Google's credentials under --permission", () => {
  const scratch = useScratch();

  it('are found at the metadata server, with the flags and the environment of the unit', async () => {
    const unit = read('systemd/hotconf.service');
    // A folder that is not there would be allowed as a file.
    const flags = unit.replaceAll('/etc/hotconf', scratch().folder).match(/--(permission|allow-[\w-]+)(=\S+)?/g)!;
    const [, folder] = /^Environment=(CLOUDSDK_CONFIG=.*)$/m.exec(unit)!;
    const metadata = createServer((request, response) => {
      response.setHeader('metadata-flavor', 'Google').setHeader('content-type', 'application/json');
      response.end(request.url!.includes('/token') ? '{"access_token":"of-the-machine","expires_in":3600}' : '"ok"');
    });
    await new Promise<void>((done) => metadata.listen(0, '127.0.0.1', done));
    try {
      const { port } = metadata.address() as { port: number };
      const root = resolve(config, '..');
      const library = join(root, 'node_modules/google-auth-library/build/src/index.js');
      const script = `const { GoogleAuth } = require('${library}'); new GoogleAuth({ scopes: 'x' }).getAccessToken().then(console.log, (error) => console.log(error.code, error.resource))`;
      const env = {
        PATH: process.env.PATH!,
        HOME: '/home/hotconf',
        GCE_METADATA_HOST: `127.0.0.1:${port}`,
        CLOUDSDK_CONFIG: folder!.split('=')[1]!.replace('/etc/hotconf', scratch().folder),
      };
      const allowed = [...new Set(flags), `--allow-fs-read=${root}`, '--no-warnings'];
      const child = spawn(process.execPath, [...allowed, '-e', script], { env, stdio: ['ignore', 'pipe', 'inherit'] });
      let output = '';
      child.stdout.setEncoding('utf8').on('data', (piece) => {
        output += piece;
      });
      await new Promise((done) => child.once('close', done));
      expect(output.trim()).equal('of-the-machine');
    } finally {
      metadata.close();
    }
    for (const text of [unit, read('container/Containerfile')]) expect(text).match(/CLOUDSDK_CONFIG=\/etc\/hotconf$/m);
  });
});

describe('the container file and the Kubernetes manifests', () => {
  const scratch = useScratch();
  const manifests = readdirSync(join(config, 'kubernetes')).map(
    (name) => [name, parseAllDocuments(read(`kubernetes/${name}`)).map((document) => document.toJSON())] as const,
  );
  const all = manifests.flatMap(([name, documents]) =>
    documents.map((document) => ({ name, document: document as Manifest })),
  );
  const workloads = all.filter(({ document }) => document.spec?.template);
  const hotconfOf = ({ spec }: Manifest) =>
    [...spec.template.spec.initContainers, ...spec.template.spec.containers].find(({ name }) => name === 'hotconf');

  it('are what the Kubernetes API takes', async () => {
    for (const { name, document } of all) {
      const { apiVersion, kind } = document as { apiVersion: string; kind: string };
      const group = apiVersion === 'v1' ? 'CoreV1' : 'AppsV1';
      const { validate } = await import(`kubernetes-models/_schemas/IoK8sApi${group}${kind}`);
      expect(validate(document), `${name} ${kind}: ${JSON.stringify(validate.errors)}`).equal(true);
      expect(validate({ ...document, metadata: { name: 3 } }), 'the check can fail').equal(false);
    }
    expect(all.map(({ document }) => document.kind)).include.members([
      'ConfigMap',
      'Deployment',
      'DaemonSet',
      'ServiceAccount',
    ]);
  });

  it('probe it, take every privilege away, and have options that are valid', () => {
    expect(workloads).length(2);
    for (const { name, document } of workloads) {
      const container = hotconfOf(document);
      for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'])
        expect(container[probe]?.httpGet, `${name} ${probe}`).include({ port: 9187 });
      // A user of its own: no program's, nor the usual one of images.
      const { runAsUser, runAsGroup, ...rights } = container.securityContext;
      const user = runAsUser ?? document.spec.template.spec.securityContext.runAsUser;
      expect(user, name).equal(47113);
      expect(runAsGroup ?? document.spec.template.spec.securityContext.runAsGroup, name).equal(47113);
      expect(document.spec.template.spec.automountServiceAccountToken, name).equal(false);
      expect(rights).deep.equal({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      expect(document.spec.template.spec.securityContext).include({ runAsNonRoot: true });
    }
    for (const { name, document } of all.filter(({ document: { kind } }) => kind === 'ConfigMap')) {
      for (const [file, text] of Object.entries<string>(document.data)) scratch().write(`${name}/${file}`, text);
      const options = loadOptions(scratch().path(name, 'hotconf.yaml'), {});
      expect(options).include({ stateDir: '/var/lib/hotconf/state' });
      expect(options.admin.metrics, 'where its probes look').include({ port: 9187 });
      expect(options.admin.socket, 'not where pods look').equal('/var/lib/hotconf/state/admin.sock');
    }
  });

  it('let programs look at the sockets only, as another user, and say which images and rights they need', () => {
    for (const { name, document } of workloads) {
      const { spec } = document.spec.template;
      const programs = spec.containers.filter((container: Manifest) => container !== hotconfOf(document));
      for (const container of programs) {
        expect(container.securityContext.runAsUser ?? spec.securityContext.runAsUser, name).not.equal(47113);
        const sockets = container.volumeMounts.find(({ mountPath }: Manifest) => mountPath === '/run/hotconf');
        expect(sockets, name).include({ readOnly: true });
        expect(container.env, name).deep.include({ name: 'HOTCONF_DAEMON_UID', value: '47113' });
      }
      const source = read(`kubernetes/${name}`);
      for (const [line] of source.matchAll(/^ +image: .*$/gm)) expect(line, name).contain('@sha256:');
      expect(source, name).contain('Pod Security Standard');
    }
    expect(read('kubernetes/daemonset.yaml')).contain('mountPath: /run/hotconf, readOnly: true');
    const container = read('container/Containerfile');
    expect(container).contain('npm ci --no-audit --no-fund --ignore-scripts').contain('@sha256:');
    // A key in swap would be on a disk.
    expect(read('systemd/hotconf.service'))
      .match(/^MemorySwapMax=0$/m)
      .match(/^LimitCORE=0$/m);
    expect(container).contain('--memory-swap');
  });

  it('let a program connect by a folder that is mounted read-only', async function () {
    const test = scratch();
    const socket = test.path('s');
    const server = createServer().listen(socket);
    await once(server, 'listening');
    const bind = `mount --bind ${test.folder} ${test.folder} && mount -o remount,ro,bind ${test.folder} && ! touch ${test.path('x')} 2>/dev/null && exec "$@"`;
    const source = `require('net').connect(${JSON.stringify(socket)}).on('connect', () => { console.log('connected'); process.exit(); })`;
    const args = ['-m', 'sh', '-c', bind, 'sh', process.execPath, '-e', source];
    const child = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    await new Promise((done) => server.close(done));
    if (/unshare: unshare failed|mount:/.test(stderr)) return skipBecause(this, 'nothing can be mounted here');
    expect(stdout, stderr).equal('connected\n');
  });

  it('run the same flags everywhere', () => {
    const container = read('container/Containerfile');
    const [, entry] = /^ENTRYPOINT (\[.*\])$/m.exec(container)!;
    const flags = JSON.parse(entry!) as string[];
    for (const flag of [
      '--permission',
      '--disable-sigusr1',
      '--allow-fs-read=/etc/hotconf',
      '--allow-fs-write=/run/hotconf',
      '--allow-fs-write=/var/lib/hotconf',
    ]) {
      expect(flags, flag).contain(flag);
      expect(read('systemd/hotconf.service'), flag).contain(` ${flag} `);
    }
    // Kubernetes runs what the image does.
    for (const { document } of workloads) expect(hotconfOf(document)).not.property('command');
    expect(container)
      .match(/^USER 47113:47113$/m)
      .not.match(/^(USER root|RUN .*chmod.*777)/m);
  });

  describe('its probes', () => {
    const test = useDaemon();

    it('say whether it serves', async () => {
      const port = await freePort();
      test().options.admin = { metrics: { listen: `127.0.0.1:${port}` } };
      await test().start();
      const { startupProbe, livenessProbe } = hotconfOf(workloads[0]!.document);
      const ask = (probe: { httpGet: { path: string } }) =>
        fetch(`http://127.0.0.1:${port}${probe.httpGet.path}`).then(
          ({ status }) => status,
          () => 'nobody',
        );
      expect(await ask(startupProbe)).equal(200);
      expect(await ask(livenessProbe)).equal(200);
      await test().stop();
      expect(await ask(startupProbe)).equal('nobody');
    });
  });
});

describe('the monitoring', () => {
  const test = useDaemon();
  const rules = join(config, 'monitoring/hotconf.rules.yml');

  it('has alert rules that promtool accepts, and whose tests pass', function () {
    this.timeout(20_000);
    const checked = tool('promtool', 'check', 'rules', rules);
    if (checked === undefined) return skipBecause(this, 'promtool is not installed');
    expect(checked).contain('SUCCESS: 7 rules found');
    expect(tool('promtool', 'test', 'rules', join(config, 'monitoring/hotconf.rules.test.yml'))).contain('SUCCESS');
    expect(tool('promtool', 'check', 'config', '--syntax-only', join(config, 'monitoring/prometheus.yml'))).contain(
      'SUCCESS',
    );
  });

  it('asks for metrics that are there, in rules and in the dashboard', async () => {
    const http = await AdminHttp.set(test());
    await test().start();
    const { text } = await http.get('/metrics');
    const known = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
    const dashboard = JSON.parse(read('monitoring/grafana-dashboard.json'));
    const expressions = [
      ...parseYaml(readFileSync(rules, 'utf8')).groups.flatMap(({ rules: all }: { rules: { expr: string }[] }) => all),
      ...dashboard.panels.flatMap(({ targets }: { targets: { expr: string }[] }) => targets),
    ].map(({ expr }) => expr as string);
    expect(expressions.length).greaterThan(20);
    for (const expression of expressions)
      for (const [name] of expression.matchAll(/\b(config|hotconf|process|nodejs)_[a-z0-9_]+/g))
        expect(known.has(name.replace(/_(bucket|sum|count)$/, '')), name).equal(true);
  });
});
