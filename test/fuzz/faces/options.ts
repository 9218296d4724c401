import { rmSync, writeFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import type { Options } from '../../../daemon/ops/options.ts';
import { createOptionsCheck, loadOptions } from '../../../daemon/ops/options-file.ts';
import { Scratch } from '../../support/scratch.ts';
import { type Face, must, planted } from '../face.ts';
import { expectKnown, isEqual } from './documents.ts';

const documents = [
  'environment: production\nschema: ./app.schema.json\nsources: { defaults: ./d.yaml, files: ./secrets }\n',
  `schema: ./a.json
sources:
  defaults: [./a.yaml, ./b.yaml]
  files:
    - { path: ./secrets, secret: false }
    - { path: /run/secrets/x, format: text, at: llm.key, optional: true }
  env: { prefix: APP_, files: [./.env], map: { DATABASE_URL: database.url } }
  gcp:
    project: acme-prod
    secrets: [{ secret: key, at: llm.key, version: 3 }, { secret: db, at: database, format: json, location: europe-west1 }]
    discover: { filter: "labels.app=x", at: found }
    notifications: { topic: events, subscription: auto, keep: true }
    resync: 10m
    onRotate: { command: [/bin/true, x] }
    endpoints: { secretManager: "127.0.0.1:1", pubsub: "[::1]:2" }
`,
  `schema: \${SCHEMA:-./a.json}
sources: { files: [./\${NAME}] }
reload: { quiet: 50ms, maxWait: 0.5s, minInterval: 0s, deadline: 30s, startWait: 1m, rescan: 5s, maxRemoved: 50% }
runtimeDir: ./run
stateDir: ./state
lastKnownGood: { keyFile: ./k, keep: 20 }
views:
  default: { include: ["**"], mode: "0660" }
  web: { include: ["a.**", "b.*"], exclude: [b.c], mayReload: false, mayRotate: true }
rollout: { strategy: canary, verifyTimeout: 10s, urgent: [a.b], canary: { share: 10%, bake: 30s, maxRejected: 1, subscribers: [x] } }
admin:
  socket: /run/admin/admin.sock
  http: { listen: "127.0.0.1:8787", tokens: [{ file: ./t, role: admin, name: ops }] }
  metrics: { listen: "0.0.0.0:9187" }
  rateLimit: { reloads: 1, per: 1m }
alerts: { webhook: { url: "https://a.example/hook", headers: { authorization: "${planted}" }, keyFile: ./k }, command: [/bin/page] }
log: { level: info, format: auto }
fileModeCheck: auto
peerAuth: preferred
hotReload: true
profile: production
limits: { fileSize: 1MiB, keys: 20000, values: 1, depth: 64, snapshotSize: 16MiB, clients: 4096, clientsPerUid: 1024 }
`,
];

/** The options file, read as a start does. */
export function optionsFace(): Face {
  const scratch = new Scratch();
  const file = scratch.path('hotconf.yaml');
  const validate = createOptionsCheck();
  const env = { NAME: 'x', HOME: '/root', EMPTY: '', XDG_RUNTIME_DIR: '/run/user/1' };
  const load = (input: string | Buffer): Options | undefined => {
    writeFileSync(file, input);
    try {
      return loadOptions(file, env, validate);
    } catch (error) {
      expectKnown(error, /^options_/);
      return undefined;
    }
  };
  return {
    corpus: documents.map((text) => Buffer.from(text)),
    words: [
      ...[
        '${NAME}',
        '${EMPTY:-1}',
        '${MISSING}',
        '${',
        '0ms',
        '1h',
        '168h',
        '1e3s',
        '.5s',
        '99999999999h',
        '0B',
        '16GiB',
        '1.5KiB',
      ],
      ...[
        '"**"',
        '"*"',
        '"a.**.b"',
        '"a..b"',
        '"[0]"',
        '""',
        'default: {}\n',
        'canary',
        '101%',
        '-1%',
        'file:///',
        '"127.0.0.1:99999"',
      ],
      ...[
        'sources: ',
        'views: ',
        'limits: ',
        'reload: ',
        'unknown: 1\n',
        '<<: {}\n',
        '&a',
        '*a',
        'null',
        '{}',
        '[]',
        '__proto__: {}\n',
      ],
    ],
    modules:
      /^daemon\/(ops\/(.*options|durations|environment|default-folders|yaml-problems)|model\/(units|path-patterns|view-filter|nearest))/,
    hasFeedback: true,
    // Nobody is served yet, and the file is the operator's own.
    maxBusyMs: 10_000,
    try(input) {
      const options = load(input);
      if (!options) return;
      must(isEqual(load(input), options), 'the same options file is read differently');
      expectOptions(options);
    },
    async close() {
      rmSync(scratch.folder, { recursive: true, force: true });
    },
  };
}

function expectOptions(options: Options): void {
  const { sources, limits, reload, runtimeDir, stateDir, schema } = options;
  const paths = [runtimeDir, stateDir, schema, ...[...sources.defaults, ...sources.files].map(({ path }) => path)];
  must(paths.every(isAbsolute), 'a path is not absolute');
  must(!paths.some((path) => path.includes('\0')), 'a path has a NUL byte');
  for (const [name, value] of [...Object.entries(limits), ...Object.entries(reload)])
    must(Number.isFinite(value) && value >= 0, `${name} is no number from 0`);
  must(limits.depth <= 1_000, 'limits.depth lets the stack overflow');
}
