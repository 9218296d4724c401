import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../client/index.ts';
import { Freezer } from '../support/freezer.ts';
import { startPubsub } from '../support/pubsub/start.ts';
import { until } from '../support/until.ts';
import { TestGoogle } from '../support/use-google.ts';
import { BenchDaemon } from './bench-daemon.ts';
import { now, type Row, row } from './figures.ts';

const outageMs = 60_000;
const withinMs = 180_000;

/** A daemon whose connections to Google pass through proxies that can be frozen. */
interface World {
  readonly google: TestGoogle;
  readonly toSecrets: Freezer;
  readonly toPubsub: Freezer;
  readonly stopPubsub: () => Promise<void>;
  readonly restartPubsub: () => Promise<void>;
  /** Milliseconds until the program has a value. */
  readonly until: (value: string) => Promise<number>;
}

/** How long it takes until a program has what changed during an outage, by itself. Takes three minutes. */
export async function measureRecovery(): Promise<Row[]> {
  return [
    await inWorld('subscription deleted, and a version added unheard', async ({ google, until: has }) => {
      const [[subscription]] = await google.client.topic(google.topicId).getSubscriptions();
      await subscription!.delete();
      google.add('key', 'second');
      return has('second');
    }),
    await inWorld('connection to Secret Manager frozen', async ({ google, toSecrets, until: has }) => {
      toSecrets.freeze();
      toSecrets.letNewOnesPass();
      google.add('key', 'second');
      return has('second');
    }),
    await inWorld('connection to Pub/Sub frozen', async ({ google, toPubsub, until: has }) => {
      toPubsub.freeze();
      toPubsub.letNewOnesPass();
      google.add('key', 'second');
      return has('second');
    }),
    await inWorld('Pub/Sub killed for 60 s, everything forgotten: after its return', async (world) => {
      const { google, stopPubsub, restartPubsub, until: has } = world;
      await stopPubsub();
      google.add('key', 'second');
      await sleep(outageMs);
      await restartPubsub();
      await google.client.createTopic(google.topicId);
      return has('second');
    }),
  ];
}

async function inWorld(what: string, use: (world: World) => Promise<number>): Promise<Row> {
  let pubsub = await startPubsub();
  const google = await TestGoogle.start(pubsub);
  const [toSecrets, toPubsub] = [await Freezer.start(google.manager.endpoint), await Freezer.start(pubsub.endpoint)];
  google.secret('key', ['first']);
  const endpoints = { secretManager: toSecrets.endpoint, pubsub: toPubsub.endpoint };
  const gcp = google.options({ secrets: [{ secret: 'key', at: 'key' }], endpoints });
  const daemon = new BenchDaemon(() => {}, { sources: { gcp } });
  try {
    await daemon.ready();
    const config = await connect<{ key: string }>({ socket: daemon.socket });
    const took = await use({
      google,
      toSecrets,
      toPubsub,
      stopPubsub: () => pubsub.stop(),
      async restartPubsub() {
        pubsub = await startPubsub(Number(pubsub.endpoint.split(':')[1]));
      },
      async until(value) {
        const since = now();
        await until(`the program has ${value}`, () => config.settings.key === value, withinMs);
        return now() - since;
      },
    });
    await config.close();
    return row(what, `${(took / 1_000).toFixed(1)} s`, '', true);
  } finally {
    await daemon[Symbol.asyncDispose]();
    await Promise.all([toSecrets.stop(), toPubsub.stop()]);
    await google.stop();
    await pubsub.stop();
  }
}
