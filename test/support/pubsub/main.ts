import { PubSub } from '@google-cloud/pubsub';
import { startPubsub } from './start.ts';

// Pub/Sub on this machine with one topic: runs until it is stopped, and says where it is.
const [project = 'demo-project', topic = 'secret-events'] = process.argv.slice(2);
const server = await startPubsub();
const client = new PubSub({ projectId: project, apiEndpoint: server.endpoint, emulatorMode: true });
await client.createTopic(topic);
await client.close();
console.log(JSON.stringify({ event: 'pubsub_ready', kind: server.kind, endpoint: server.endpoint }));
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => server.stop().then(() => process.exit(0)));
// The stand-in's server alone keeps no process alive.
setInterval(() => {}, 60_000);
