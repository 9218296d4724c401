import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { gcloud, gcloudEnv, hasGcloud } from '../support/gcloud.ts';
import { reloadLine, Stage } from './stage.ts';

// Secret Manager and Pub/Sub on this machine, the daemon, a program, and `gcloud secrets versions add`. On a terminal
// everything stays up afterwards, so that you can go on by hand.
const root = resolve(import.meta.dirname, '../..');
const stage = new Stage();
const { folder } = stage;
const socket = join(folder, 'run/default.sock');
const project = 'demo-project';
const topic = `projects/${project}/topics/secret-events`;

stage.tell('Pub/Sub and Secret Manager start on this machine.');
const pubsubUp = stage.until(/^pubsub .*ready/);
stage.play('pubsub', join(root, 'test/support/pubsub/main.ts'), [project], {
  show: (line) => `a ${JSON.parse(line).kind} at ${JSON.parse(line).endpoint}`,
});
const pubsub: string = JSON.parse(await pubsubUp).endpoint;
const managerUp = stage.until(/^secrets .*ready/);
const managerArgs = ['--project', project, '--pubsub', pubsub];
stage.play('secrets', join(root, 'test/support/secret-manager/main.ts'), managerArgs, {
  show: (line) => `gRPC at ${JSON.parse(line).grpc}, REST at ${JSON.parse(line).rest}`,
});
const { grpc, rest } = JSON.parse(await managerUp) as { grpc: string; rest: string };
const env = gcloudEnv({ url: rest, project, config: join(folder, 'gcloud') });

/** By the real gcloud where it is installed, or else by the same request over REST. */
async function addVersion(secret: string, value: string): Promise<void> {
  console.log(`gcloud   | $ printf %s "$NEW_KEY" | gcloud secrets versions add ${secret} --data-file=-`);
  if (hasGcloud()) return void (await gcloud(['secrets', 'versions', 'add', secret, '--data-file=-'], env, value));
  await post(`secrets/${secret}:addVersion`, { payload: { data: Buffer.from(value).toString('base64url') } });
}

async function post(path: string, body: unknown): Promise<void> {
  const answer = await fetch(`${rest}v1/projects/${project}/${path}`, { method: 'POST', body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(await answer.text());
}

await post('secrets?secretId=gemini-api-key', { replication: { automatic: {} }, topics: [{ name: topic }] });
await post('secrets/gemini-api-key:addVersion', {
  payload: { data: Buffer.from('demo-key-0001').toString('base64url') },
});
await post('secrets?secretId=db', { replication: { automatic: {} }, topics: [{ name: topic }] });
const database = JSON.stringify({ url: 'postgres://billing:demo-password@db.internal:5432/billing' });
await post('secrets/db:addVersion', { payload: { data: Buffer.from(database).toString('base64url') } });

const file = join(folder, 'hotconf.yaml');
writeFileSync(
  file,
  stringify({
    environment: 'production',
    schema: join(root, 'config/app.schema.json'),
    sources: {
      defaults: join(root, 'config/defaults.yaml'),
      gcp: {
        project,
        secrets: [
          { secret: 'gemini-api-key', at: 'llm.geminiApiKey' },
          { secret: 'db', at: 'database', format: 'json' },
        ],
        notifications: { topic: 'secret-events' },
        endpoints: { secretManager: grpc, pubsub },
      },
    },
    runtimeDir: './run',
    stateDir: './state',
  }),
);

stage.tell('The daemon reads both secrets, and a program connects.');
const ready = stage.until(/^daemon .*daemon_ready/);
stage.play('daemon', join(root, 'daemon/main.ts'), ['start', '--config', file], { show: reloadLine });
await ready;
const connected = Promise.all([stage.until(/^billing .*connected/), stage.until(/^daemon .*subscriber_connected/)]);
stage.play('billing', join(import.meta.dirname, 'program.ts'), ['billing'], { env: { HOTCONF_SOCKET: socket } });
await connected;

stage.tell('A new version of the key is added. Nobody tells the daemon.');
const renewed = Promise.all([stage.until(/^billing .*llm/), stage.until(/^daemon .*config_reload_completed/)]);
await addVersion('gemini-api-key', 'demo-key-0002');
await renewed;

stage.tell('A version that the schema refuses: the program keeps what it has.');
const refused = stage.until(/^daemon .*config_reload_failed/);
await addVersion('db', '{"url": 5432}');
await refused;

stage.tell('The repair: the database has moved.');
const moved = Promise.all([stage.until(/^billing .*database/), stage.until(/^daemon .*config_reload_completed/)]);
await addVersion('db', database.replace('db.internal', 'db-2.internal'));
await moved;

if (process.stdin.isTTY) {
  stage.tell('Everything stays up until Ctrl-C. In another terminal:');
  for (const [name, value] of Object.entries(env)) console.log(`export ${name}=${value}`);
  console.log(`npx hotconf watch --config ${file} &`);
  console.log('printf my-own-key | gcloud secrets versions add gemini-api-key --data-file=-');
} else {
  stage.tell('That is all: no restart, and nobody triggered anything.');
  await stage.end();
}
