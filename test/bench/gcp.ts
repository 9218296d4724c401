import { Duration, PubSub, type Subscription } from '@google-cloud/pubsub';
import { SecretManagerServiceClient } from '@google-cloud/secret-manager';
import { grpc } from 'google-gax';
import { connect } from '../../client/index.ts';
import type { PubsubServer } from '../support/pubsub/pubsub-server.ts';
import { startPubsub } from '../support/pubsub/start.ts';
import { project } from '../support/secret-manager/local-secret-manager.ts';
import { TestGoogle } from '../support/use-google.ts';
import { BenchDaemon } from './bench-daemon.ts';
import { ms, now, percentile, type Row, row } from './figures.ts';

const rounds = 60;
const fleetSize = 20;

/** Secret Manager and Pub/Sub: from `versions add` to a program, a fleet, a thousand secrets at start, memory. */
export async function measureGcp(): Promise<Row[]> {
  const pubsub = await startPubsub();
  try {
    return [...(await notification(pubsub)), ...(await fleet(pubsub)), ...(await start(pubsub, 1_000))];
  } finally {
    await pubsub.stop();
  }
}

function daemonOf(google: TestGoogle, ids: readonly string[]): BenchDaemon {
  const secrets = ids.map((secret) => ({ secret, at: `secrets.${secret}` }));
  return new BenchDaemon(() => {}, { sources: { gcp: google.options({ secrets }) } });
}

/** A program behind the daemon, beside a bare subscriber that makes one access for each message. */
async function notification(pubsub: PubsubServer): Promise<Row[]> {
  const google = await TestGoogle.start(pubsub);
  google.secret('key', ['first']);
  const daemon = daemonOf(google, ['key']);
  const bare = await Bare.start(google);
  try {
    await daemon.ready();
    const config = await connect<{ secrets: { key: string } }>({ socket: daemon.socket });
    const samples: { program: number; bare: number }[] = [];
    for (let round = 0; round < rounds; round++) {
      const value = `round-${round}`;
      // The emulator polls every 50 ms; a round that began where another ended would always meet the same moment of it.
      await new Promise((resolve) => setTimeout(resolve, 50 + Math.random() * 200));
      const program = new Promise<number>((resolve) =>
        config.on('change', function listener({ settings }) {
          if (settings.secrets.key !== value) return;
          config.off('change', listener);
          resolve(now());
        }),
      );
      const subscriber = bare.has(value);
      const added = now();
      google.add('key', value);
      samples.push({ program: (await program) - added, bare: (await subscriber) - added });
    }
    await config.close();
    const warm = samples.slice(rounds / 6);
    const [programMs, bareMs] = [
      percentile(
        warm.map((s) => s.program),
        0.5,
      ),
      percentile(
        warm.map((s) => s.bare),
        0.5,
      ),
    ];
    return [
      row(`versions add to bare subscriber with one access (${pubsub.kind}): p50`, ms(bareMs), '', true),
      row('versions add to program: p50', ms(programMs), '', true),
      row('... beyond the bare subscriber', ms(programMs - bareMs), '60 ms', programMs - bareMs <= 60),
      row('resident memory, one secret', `${daemon.residentMb.toFixed(1)} MB`, '180 MB', daemon.residentMb <= 180),
    ];
  } finally {
    await bare.stop();
    await daemon[Symbol.asyncDispose]();
    await google.stop();
  }
}

/** What anybody would write: a subscription, and one access for each message. */
class Bare {
  readonly #pubsub: PubSub;
  readonly #secrets: SecretManagerServiceClient;
  #subscription: Subscription | undefined;
  readonly #waiting = new Map<string, (at: number) => void>();

  private constructor(google: TestGoogle) {
    this.#pubsub = new PubSub({ projectId: project, apiEndpoint: google.pubsub.endpoint, emulatorMode: true });
    const [host, port] = google.manager.endpoint.split(':');
    this.#secrets = new SecretManagerServiceClient({
      apiEndpoint: host!,
      port: Number(port),
      sslCreds: grpc.credentials.createInsecure(),
    });
  }

  static async start(google: TestGoogle): Promise<Bare> {
    const bare = new Bare(google);
    await bare.#pubsub.createSubscription(google.topicId, 'bare-subscriber');
    const subscription = bare.#pubsub.subscription('bare-subscriber', {
      streamingOptions: { maxStreams: 1, retryMaxBackoff: Duration.from({ millis: 500 }) },
    });
    bare.#subscription = subscription;
    subscription.on('message', async (message) => {
      message.ack();
      if (!message.attributes.versionId) return;
      const [{ payload }] = await bare.#secrets.accessSecretVersion({ name: message.attributes.versionId });
      bare.#waiting.get(Buffer.from(payload!.data as Uint8Array).toString())?.(now());
    });
    return bare;
  }

  has(value: string): Promise<number> {
    return new Promise((resolve) => this.#waiting.set(value, resolve));
  }

  async stop(): Promise<void> {
    await this.#subscription!.close();
    await this.#subscription!.delete();
    await this.#pubsub.close();
    await this.#secrets.close();
  }
}

/** One version is added; until every daemon's program has it. */
async function fleet(pubsub: PubsubServer): Promise<Row[]> {
  const google = await TestGoogle.start(pubsub);
  google.secret('key', ['first']);
  const daemons: BenchDaemon[] = [];
  try {
    while (daemons.length < fleetSize) {
      daemons.push(daemonOf(google, ['key']), daemonOf(google, ['key']));
      await Promise.all(daemons.slice(-2).map((daemon) => daemon.ready()));
    }
    const configs = await Promise.all(daemons.map(({ socket }) => connect<{ secrets: { key: string } }>({ socket })));
    const last: number[] = [];
    for (let round = 0; round < 20; round++) {
      const calls = google.store.faults.calls.length;
      const all = Promise.all(
        configs.map(
          (config) =>
            new Promise<void>((resolve) =>
              config.on('change', function listener() {
                config.off('change', listener);
                resolve();
              }),
            ),
        ),
      );
      const added = now();
      google.add('key', `round-${round}`);
      await all;
      last.push(now() - added);
      const accesses = google.store.faults.calls.length - calls;
      if (accesses !== fleetSize) throw new Error(`${accesses} calls for ${fleetSize} daemons`);
    }
    await Promise.all(configs.map((config) => config.close()));
    return [
      row(`versions add to the last of ${fleetSize} daemons: p50`, ms(percentile(last, 0.5)), '', true),
      row(`versions add to the last of ${fleetSize} daemons: worst of ${last.length}`, ms(Math.max(...last)), '', true),
    ];
  } finally {
    for (const daemon of daemons) await daemon[Symbol.asyncDispose]();
    await google.stop();
  }
}

async function start(pubsub: PubsubServer, count: number): Promise<Row[]> {
  const google = await TestGoogle.start(pubsub);
  const ids = Array.from({ length: count }, (_, i) => `s${i}`);
  for (const id of ids) google.secret(id, ['first'], { topics: [] });
  google.store.faults.latencyMs = 20;
  const daemon = daemonOf(google, ids);
  try {
    const { readyAfterMs } = await daemon.ready();
    const { faults } = google.store;
    return [
      row(`start with ${count} secrets at 20 ms latency`, ms(readyAfterMs), '5000 ms', readyAfterMs <= 5_000),
      row(
        '... listings of 600 a minute',
        String(faults.count('ListSecretVersions')),
        '600',
        faults.count('ListSecretVersions') <= 600,
      ),
      row('... accesses of 90,000 a minute', String(faults.count('AccessSecretVersion')), '90000', true),
      row(`resident memory, ${count} secrets`, `${daemon.residentMb.toFixed(1)} MB`, '', true),
    ];
  } finally {
    await daemon[Symbol.asyncDispose]();
    await google.stop();
  }
}
