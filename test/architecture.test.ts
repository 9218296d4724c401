import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect } from 'chai';

const root = resolve(import.meta.dirname, '..');
const files = ['daemon', 'client', 'schemas'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .map((name) => join(folder, name)),
);
const sourceOf = (file: string) => readFileSync(join(root, file), 'utf8');

interface Import {
  readonly from: string;
  readonly to: string;
}

/** Every import: of our own files as a path below the root, of others by package. */
const imports: readonly Import[] = files.flatMap((from) =>
  [...sourceOf(from).matchAll(/^(?:import|export|\})[^'\n]*from '([^']+)'|\bimport\('([^']+)'\)/gm)].map(
    ([, plain, dynamic]) => {
      const to = (plain ?? dynamic)!;
      return { from, to: to.startsWith('.') ? relative(root, resolve(root, dirname(from), to)) : to };
    },
  ),
);

/** Lower rooms know nothing of higher ones. */
const order = [
  'schemas',
  'daemon/model',
  'daemon/ops',
  'daemon/sources',
  'daemon/reload',
  'daemon/serve',
  'daemon/observe',
  'daemon/admin',
  'daemon/checkup',
  'daemon/daemon.ts',
  'daemon/commands',
  'daemon/main.ts',
];
const roomOf = (file: string) => order.findIndex((room) => file === room || file.startsWith(`${room}/`));
const isOwn = (to: string) => to.endsWith('.ts');

describe('the architecture', () => {
  it('has arrows that point one way only', () => {
    const against = imports.filter(
      ({ from, to }) =>
        isOwn(to) && !from.startsWith('client/') && !to.startsWith('client/') && roomOf(to) > roomOf(from),
    );
    expect(against).deep.equal([]);
    for (const file of files) if (!file.startsWith('client/')) expect(roomOf(file), file).not.equal(-1);
  });

  it('lets the client import the treaty room and node alone, and the commands alone import the client', () => {
    const ofClient = imports.filter(({ from }) => from.startsWith('client/'));
    expect(
      ofClient.filter(({ to }) => !to.startsWith('client/') && !to.startsWith('schemas/') && !to.startsWith('node:')),
    ).deep.equal([]);
    const ofTreaty = imports.filter(({ from }) => from.startsWith('schemas/'));
    expect(ofTreaty.filter(({ to }) => !to.startsWith('schemas/') && to !== 'node:path')).deep.equal([]);
    const users = imports.filter(({ from, to }) => to.startsWith('client/') && !from.startsWith('client/'));
    expect(users.filter(({ from }) => !from.startsWith('daemon/commands/'))).deep.equal([]);
  });

  it('gives each package few homes', () => {
    const homes: Readonly<Record<string, readonly string[]>> = {
      chokidar: ['daemon/sources/path-watcher.ts'],
      'node-ipc': ['daemon/serve/frame-parser.ts', 'daemon/serve/ipc-socket.ts'],
      koffi: ['daemon/ops/libc.ts'],
      winston: ['daemon/ops/log.ts'],
      fastify: ['http-app', 'admin-server', 'read-routes', 'change-routes'].map((name) => `daemon/admin/${name}.ts`),
      limiter: ['daemon/admin/gate.ts', 'daemon/admin/reload-limit.ts'],
      'prom-client': ['daemon/observe/meters.ts'],
      'p-retry': ['daemon/observe/alert-target.ts', 'daemon/observe/send-alert.ts'],
      commander: ['daemon/commands/command-line.ts'],
      yaml: [
        'daemon/commands/get.ts',
        'daemon/ops/options-file.ts',
        'daemon/sources/parse-yaml.ts',
        'daemon/sources/line-of-path.ts',
      ],
      ajv: [
        'daemon/ops/options-file.ts',
        'daemon/ops/own-schemas.ts',
        'daemon/reload/validate-candidate.ts',
        'daemon/reload/load-app-schema.ts',
      ],
      'ajv-formats': ['daemon/reload/load-app-schema.ts'],
      '@google-cloud/pubsub': ['daemon/sources/gcp/pubsub-subscription.ts'],
      '@google-cloud/secret-manager': ['daemon/sources/gcp/secret-manager-client.ts'],
      'google-gax': ['secret-manager-client', 'google-credentials'].map((name) => `daemon/sources/gcp/${name}.ts`),
      'crc-32': ['daemon/sources/gcp/secret-manager-client.ts'],
      'p-limit': ['sources/gcp/metered-manager', 'ops/run-worker', 'observe/alert-target'].map(
        (name) => `daemon/${name}.ts`,
      ),
    };
    const used = imports.filter(({ to }) => !isOwn(to) && !to.startsWith('node:'));
    const packageOf = (to: string) => /^(@[^/]+\/)?[^/]+/.exec(to)![0];
    for (const { from, to } of used) expect(homes[packageOf(to)], `${from} imports ${to}`).contain(from);
    const { dependencies, optionalDependencies } = JSON.parse(sourceOf('package.json'));
    expect(Object.keys({ ...dependencies, ...optionalDependencies })).have.members(Object.keys(homes));
  });

  it('has no circle of imports', () => {
    const done = new Set<string>();
    const visit = (file: string, path: readonly string[]): void => {
      expect(path, 'a circle of imports').not.contain(file);
      if (done.has(file)) return;
      for (const { to } of imports.filter(({ from, to: other }) => from === file && isOwn(other)))
        visit(to, [...path, file]);
      done.add(file);
    };
    for (const file of files) visit(file, []);
  });

  it('has no default export, no barrel but the client, and nothing that fakes or waits', () => {
    for (const file of files) {
      const source = sourceOf(file);
      expect(/export default/.test(source), file).equal(false);
      expect(/\b(TODO|FIXME|XXX)\b/.test(source), file).equal(false);
      if (file !== 'client/index.ts') expect(/^export .* from /m.test(source), `${file} re-exports`).equal(false);
    }
  });

  it('keeps files short; a longer one says here why', () => {
    const reasons: Readonly<Record<string, string>> = {
      'client/config-client.ts': 'one class with the whole of a fixed interface',
      'client/link.ts': 'one state machine',
      'daemon/admin/reports.ts': 'all that the daemon says about itself',
      'daemon/daemon.ts': 'the composition root',
      'daemon/ops/state-store.ts': 'an accessor for each thing that survives a restart',
      'daemon/reload/commit-gate.ts': 'all that stands before a commit',
      'daemon/reload/refusals.ts': 'one state, kept and persisted',
      'daemon/reload/reloader.ts': 'the pipeline read from top to bottom',
      'daemon/serve/rollout.ts': 'one state machine',
      'daemon/serve/session.ts': 'one state machine',
      'daemon/sources/gcp/gcp-source.ts': 'a source whose reading goes on in the background',
      'daemon/sources/gcp/secret-manager-client.ts': 'every call with what its failures mean',
      'daemon/sources/file-source.ts': 'the state of files: read, kept, bad, gone',
      'daemon/sources/gcp/pubsub-subscription.ts': 'every call with what its failures mean',
      'schemas/wire.ts': 'every frame of the protocol',
    };
    for (const file of files) {
      const lines = sourceOf(file).split('\n').length;
      expect(lines, file).lessThan(400);
      if (!(file in reasons)) expect(lines, file).at.most(201);
    }
    const short = Object.keys(reasons).filter((file) => sourceOf(file).split('\n').length <= 201);
    expect(short, 'short enough to need no reason').deep.equal([]);
  });

  it('loads none of the daemon in the client, nor anything that is not node', () => {
    expect(sourceOf('client/index.ts')).not.contain('daemon');
    const { exports } = JSON.parse(sourceOf('package.json'));
    const { exports: ofClient, dependencies, engines } = JSON.parse(sourceOf('client/package.json'));
    // What hotconf exports is the client, as it is published alone.
    for (const kind of ['import', 'require'])
      for (const what of ['types', 'default'])
        expect(exports['.'][kind][what]).equal(ofClient['.'][kind][what].replace('./', './client/'));
    expect(dependencies).equal(undefined);
    expect(engines.node).equal('>=20');
  });
});
