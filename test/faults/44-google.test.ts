import { setTimeout as sleep } from 'node:timers/promises';
import { PubSub } from '@google-cloud/pubsub';
import { expect } from 'chai';
import { connect } from '../../client/connect.ts';
import type { Config } from '../../client/types.ts';
import { useProcesses } from '../support/daemon-process.ts';
import { layExample } from '../support/example.ts';
import { Freezer } from '../support/freezer.ts';
import { useGcpDaemon } from '../support/gcp-daemon.ts';
import { startPubsub } from '../support/pubsub/start.ts';
import { useScratch } from '../support/scratch.ts';
import { project } from '../support/secret-manager/local-secret-manager.ts';
import { until } from '../support/until.ts';
import type { App } from '../support/use-daemon.ts';
import { useGoogle } from '../support/use-google.ts';

const key = { secret: 'key', at: 'llm.key' };

describe('faults 44 to 48: Google', () => {
  const { google, test, start, source, calls } = useGcpDaemon();

  it('44: takes duplicate, reordered, late, unknown and unreadable messages for what they are', async () => {
    google().secret('key', ['one', 'two', 'three'], { topics: [] });
    await start({ secrets: [key] });
    const config = await test().connect();
    const before = test().revision;
    calls();
    const told = async (outcome: string, count: number) =>
      until(`${count} are ${outcome}`, () => source().counts.messages?.[outcome] === count);
    for (const version of [3, 1, 2, 3]) await google().publish(google().added('key', version));
    await told('known', 4);
    await google().publish(google().added('nobody', 1));
    await told('unknown', 1);
    await google().publish({ ...google().added('key', 9), secretId: 'projects/999/secrets/key' });
    await told('foreign', 1);
    await google().publish({ eventType: 'TOPIC_CONFIGURED' });
    await told('ignored', 1);
    for (const attributes of [
      {},
      { eventType: 'SECRET_VERSION_ADD' },
      { eventType: 'SECRET_VERSION_ADD', secretId: 'no name' },
      { eventType: 'SECRET_VERSION_ADD', secretId: google().name('key'), versionId: 'x' },
      { eventType: 'hello', secretId: google().name('key') },
    ])
      await google().publish(attributes as Record<string, string>, 'garbage');
    await told('garbage', 5);
    expect(test().logged('notification_unreadable')).length(1);
    expect(calls()).deep.equal([]);
    expect(test().revision).equal(before);
    // It is there, and it is announced twice, out of order.
    google().add('key', 'four');
    google().add('key', 'five');
    for (const version of [5, 4, 5]) await google().publish(google().added('key', version));
    await until('the program has the last', () => config.settings.llm.key === 'five');
    await told('known', 6);
    expect(test().revision).equal(before + 1);
    expect(calls()).deep.equal(['Access key 5']);
  });

  it('44: reads a version that was announced and is gone again by finding out which one is served', async () => {
    google().secret('key', ['one'], { topics: [] });
    await start({ secrets: [key] });
    const config = await test().connect();
    google().add('key', 'two');
    google().setState('key', 2, 'DISABLED');
    await google().publish(google().added('key', 2));
    await google().publish(google().added('key', 77));
    await until('both are heard', () => source().counts.messages?.news === 2);
    google().add('key', 'three');
    await google().publish(google().added('key', 3));
    await until('it goes on', () => config.settings.llm.key === 'three');
    expect(source().state).equal('current');
  });

  it('45: makes the subscription again when it is deleted, and closes the gap', async () => {
    google().secret('key', ['one']);
    await start({ secrets: [key] });
    const config = await test().connect();
    const [[subscription]] = await google().client.topic(google().topicId).getSubscriptions();
    await subscription!.delete();
    // Nothing tells of this one.
    google().store.updateSecret(google().name('key'), { topics: [] });
    google().add('key', 'two');
    await until('the gap is closed', () => config.settings.llm.key === 'two');
    google().store.updateSecret(google().name('key'), { topics: [google().topic] });
    google().add('key', 'three');
    await until('notifications come again', () => config.settings.llm.key === 'three');
  });

  it('45: tells that the topic is missing, serves all the same, and recovers when it is there', async () => {
    google().secret('key', ['one']);
    const topic = `${google().topicId}-later`;
    await start({ secrets: [key], notifications: { topic } });
    const config = await test().connect();
    expect(test().daemon!.reports.status().state.kind).equal('degraded');
    expect(test().daemon!.reports.status().state.reasons[0])
      .contain('there is no such topic')
      .contain(`gcloud pubsub topics create`);
    await google().client.createTopic(topic);
    await until('it is well', () => test().daemon!.reports.status().state.kind === 'ready', 20_000);
    google().store.updateSecret(google().name('key'), { topics: [google().topic.replace(google().topicId, topic)] });
    google().add('key', 'two');
    await until('notifications come', () => config.settings.llm.key === 'two');
  });

  it('45: notices at the next resync that its topic was deleted and made again', async () => {
    google().secret('key', ['one']);
    await start({ secrets: [key], resync: '1s' });
    const config = await test().connect();
    await google().client.topic(google().topicId).delete();
    await google().client.createTopic(google().topicId);
    const subscribed = async () => (await google().client.topic(google().topicId).getSubscriptions())[0].length === 1;
    await until('it has subscribed again', subscribed, 15_000);
    google().add('key', 'two');
    await until('notifications come', () => config.settings.llm.key === 'two');
    await until('a message came', () => Object.keys(source().counts.messages ?? {}).length > 0);
  });

  it('45: refuses a subscription to somebody else’s topic, and serves all the same', async () => {
    google().secret('key', ['one']);
    await google().client.createTopic('theirs');
    await google().client.createSubscription('theirs', 'their-own');
    await start({ secrets: [key], notifications: { topic: google().topicId, subscription: 'their-own' } });
    expect((await test().connect()).settings.llm.key).equal('one');
    expect(source().watch).equal('polling');
    expect(test().logged('notifications_failed')[0]!.message).contain('it is a subscription to').contain('theirs');
    await google().client.subscription('their-own').delete();
    await google().client.topic('theirs').delete();
  });

  it('45: outlives Pub/Sub itself, which forgets everything, and closes the gap', async () => {
    await withPart(await startPubsub(), async (first) => {
      const port = Number(first.endpoint.split(':')[1]);
      google().secret('key', ['one'], { topics: [] });
      await start({ secrets: [key], endpoints: { secretManager: google().manager.endpoint, pubsub: first.endpoint } });
      const config = await test().connect();
      // The topic is in the suite's Pub/Sub only, so far.
      const client = () => new PubSub({ projectId: project, apiEndpoint: first.endpoint, emulatorMode: true });
      const [before, after] = [client(), client()];
      await before.createTopic(google().topicId);
      await until('it has subscribed', () => source().watch === 'watching', 15_000);
      await first.stop();
      await until('it is noticed', () => source().watch === 'polling', 15_000);
      google().add('key', 'two');
      await withPart(await startPubsub(port), async () => {
        await after.createTopic(google().topicId);
        await until('the gap is closed', () => config.settings.llm.key === 'two', 15_000);
        google().add('key', 'three');
        await after
          .topic(google().topicId)
          .publishMessage({ data: Buffer.from('{}'), attributes: google().added('key', 3) });
        await until('notifications come again', () => config.settings.llm.key === 'three', 15_000);
        await Promise.all([before.close(), after.close()]);
        await test().stop();
      });
    });
  });

  for (const status of ['UNAVAILABLE', 'RESOURCE_EXHAUSTED'] as const) {
    it(`47: tries again what fails by ${status}, in time for nobody to notice`, async () => {
      google().secret('key', ['one']);
      await start({ secrets: [key] });
      const config = await test().connect();
      google().store.faults.add({ method: 'AccessSecretVersion', status, times: 2 });
      google().add('key', 'two');
      await until('it is there', () => config.settings.llm.key === 'two');
      expect(test().logged('config_reload_failed')).deep.equal([]);
      expect(source().counts.accesses).deep.equal({ ok: 2, secret_unavailable: 2 });
    });
  }

  it('47: keeps and tells what fails for longer, lets files go on, and recovers by itself', async () => {
    google().secret('key', ['one']);
    await start({ secrets: [key] });
    const config = await test().connect();
    const end = google().store.faults.add({ status: 'UNAVAILABLE' });
    google().add('key', 'two');
    await until('it is told', () => source().state === 'stale');
    expect(source().problem).include({ code: 'secret_unavailable' });
    expect(config.settings.llm.key).equal('one');
    test().scratch.write('secrets/app.yaml', 'database: { url: meanwhile }\n');
    await until('files go on', () => config.settings.database.url === 'meanwhile');
    expect(config.settings.llm.key, 'while the source is down').equal('one');
    end();
    await until('it is there', () => config.settings.llm.key === 'two', 30_000);
    await until('it is current', () => source().state === 'current');
  });

  for (const [status, code, words] of [
    ['PERMISSION_DENIED', 'secret_forbidden', 'roles/secretmanager.secretAccessor'],
    ['NOT_FOUND', 'secret_not_found', 'no such secret'],
    ['FAILED_PRECONDITION', 'secret_disabled', 'disabled or destroyed'],
  ] as const) {
    it(`47: tells ${status} at once, once, and drops nothing`, async () => {
      google().secret('key', ['one']);
      await start({ secrets: [{ ...key, version: 'latest' }] });
      const config = await test().connect();
      google().store.faults.add({ method: 'AccessSecretVersion', status });
      google().add('key', 'two');
      await until('it is told', () => source().problem?.code === code);
      expect(source().problem!.message).contain(words).contain(google().name('key'));
      expect(config.settings.llm.key).equal('one');
      expect(test().logged('config_reload_failed')).length(1);
      await test().daemon!.reload({ cause: 'operator' });
      expect(config.settings.llm.key, 'not by a plain reload either').equal('one');
      google().store.faults.clear();
      await test().daemon!.reload({ cause: 'operator' });
      await until('it is there', () => config.settings.llm.key === 'two');
      expect(source().state).equal('current');
    });
  }

  it('47: lets the good secrets of a burst go on without the one that is not permitted', async () => {
    google().secret('key', ['one']);
    google().secret('url', ['url-one']);
    await start({ secrets: [key, { secret: 'url', at: 'database.url' }] });
    const config = await test().connect();
    google().store.faults.add({ method: 'AccessSecretVersion', name: 'secrets/key', status: 'PERMISSION_DENIED' });
    google().add('key', 'two');
    google().add('url', 'url-two');
    await until('the good one is there', () => config.settings.database.url === 'url-two');
    expect(config.settings.llm.key).equal('one');
    expect(source().problem!.message).contain(google().name('key'));
  });

  it('48: refuses a damaged payload, tries again, and keeps what it had when that does not help', async () => {
    google().secret('key', ['one']);
    await start({ secrets: [key] });
    const config = await test().connect();
    google().store.faults.add({ method: 'AccessSecretVersion', wrongChecksum: true, times: 1 });
    google().add('key', 'two');
    await until('the second attempt is whole', () => config.settings.llm.key === 'two');
    const end = google().store.faults.add({ method: 'AccessSecretVersion', truncate: true });
    google().add('key', 'three');
    await until('it is told', () => source().problem?.code === 'secret_corrupt');
    expect(config.settings.llm.key).equal('two');
    end();
    await test().daemon!.reload({ cause: 'operator' });
    await until('it is whole', () => config.settings.llm.key === 'three');
  });

  it('48: outlives a connection that freezes, by a new one after the deadline of the call', async () => {
    google().secret('key', ['one']);
    await withPart(await Freezer.start(google().manager.endpoint), async (freezer) => {
      await start({ secrets: [key], endpoints: { secretManager: freezer.endpoint, pubsub: google().pubsub.endpoint } });
      const config = await test().connect();
      freezer.freeze();
      google().add('key', 'two');
      await until('it is told', () => source().problem?.code === 'secret_unavailable');
      expect(config.settings.llm.key).equal('one');
      // What is frozen stays frozen; only new connections work.
      freezer.letNewOnesPass();
      await until('it is there', () => config.settings.llm.key === 'two', 18_000);
    });
  });
});

describe('faults 46 and 49: Google and a daemon that is a process', () => {
  const google = useGoogle();
  const scratch = useScratch();
  const run = useProcesses();

  const lay = (gcp: Record<string, unknown>, reload = {}) =>
    layExample(scratch(), { sources: { files: [{ path: './secrets' }], gcp: google().options(gcp) }, reload });

  it('46: killed after a message was read and before it was acknowledged, it commits nothing twice', async function () {
    // Pub/Sub may send the next message to the killed one first, and again after the deadline of 10 s.
    this.timeout(60_000);
    google().secret('key', ['one']);
    const file = lay({ secrets: [key] });
    const first = await run(['start', '--config', file]).ready();
    const config: Config<App> = await connect<App>({ socket: scratch().path('run/default.sock') });
    google().add('key', 'two');
    // Acknowledgements are sent together, 100 ms later; the program is told before that.
    await new Promise<void>((resolve) => config.on('change', () => resolve()));
    await first.kill('SIGKILL');
    const { revision, epoch } = config.snapshot;
    const second = await run(['start', '--config', file]).ready();
    await until('the program is back', () => config.link.kind === 'live');
    // A message that was not acknowledged comes again after its deadline of 10 s, at the latest.
    google().add('key', 'three');
    await until('later ones come', () => config.settings.llm.key === 'three', 40_000);
    expect(config.snapshot).include({ revision: revision + 1, epoch });
    expect(second.logged('config_reload_completed').filter(({ outcome }) => outcome === 'committed')).length.at.most(2);
    await config.close();
  });

  it('48: stops in time when nothing of Google answers any more', async () => {
    google().secret('key', ['one']);
    const [secretManager, pubsub] = [
      await Freezer.start(google().manager.endpoint),
      await Freezer.start(google().pubsub.endpoint),
    ];
    const endpoints = { secretManager: secretManager.endpoint, pubsub: pubsub.endpoint };
    const daemon = await run(['start', '--config', lay({ secrets: [key], endpoints })]).ready();
    for (const freezer of [secretManager, pubsub]) freezer.freeze();
    // It is in the middle of a call that gets no answer.
    google().add('key', 'two');
    daemon.child.kill('SIGTERM');
    expect(await Promise.race([daemon.ended(), sleep(10_000, 'too late')])).equal(0);
    await Promise.all([secretManager.stop(), pubsub.stop()]);
  });

  it('49: without a last known good, a start that does not reach Google ends after the deadline, by 69', async () => {
    const away = { secretManager: '127.0.0.1:9', pubsub: '127.0.0.1:9' };
    const file = lay({ secrets: [key], endpoints: away }, { deadline: '2s', startWait: '0s' });
    const daemon = run(['start', '--config', file]);
    expect(await daemon.ended()).equal(69);
    expect(daemon.lastWords).contain('UNAVAILABLE').contain(google().name('key'));
  });

  it('49: a start that does not reach Google can be stopped', async () => {
    const away = { secretManager: '127.0.0.1:9', pubsub: '127.0.0.1:9' };
    const daemon = run(['start', '--config', lay({ secrets: [key], endpoints: away })]);
    await until('it is reading', () => daemon.stdout.includes('config_reload_started'), 20_000);
    daemon.child.kill('SIGTERM');
    expect(await Promise.race([daemon.ended(), sleep(10_000, 'too late')])).equal(0);
    expect(daemon.stdout).not.contain('daemon_ready');
  });

  it('49: a start that Google answers slowly waits for it', async () => {
    google().secret('key', ['one']);
    const end = google().store.faults.add({ status: 'UNAVAILABLE' });
    const daemon = run(['start', '--config', lay({ secrets: [key] })]);
    await until('it has asked', () => google().store.faults.calls.length > 2, 15_000);
    end();
    await daemon.ready();
    expect(daemon.isRunning).equal(true);
  });
});

async function withPart<T extends { stop(): Promise<void> }>(part: T, use: (part: T) => Promise<void>): Promise<void> {
  try {
    await use(part);
  } finally {
    await part.stop();
  }
}
