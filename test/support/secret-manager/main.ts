import { parseArgs } from 'node:util';
import { LocalSecretManager } from './local-secret-manager.ts';

// Secret Manager on this machine, for people without Google: runs until it is stopped, and says where it is.
const { values } = parseArgs({
  options: {
    project: { type: 'string', default: 'demo-project' },
    number: { type: 'string', default: '123456789012' },
    pubsub: { type: 'string' },
    grpc: { type: 'string', default: '0' },
    rest: { type: 'string', default: '0' },
  },
});
const { project, number, pubsub, grpc, rest } = values;
const manager = await LocalSecretManager.start({
  projects: { [project]: number },
  ...(pubsub && { pubsub }),
  grpcPort: Number(grpc),
  restPort: Number(rest),
});
console.log(JSON.stringify({ event: 'secret_manager_ready', project, grpc: manager.endpoint, rest: manager.url }));
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => manager.stop().then(() => process.exit(0)));
