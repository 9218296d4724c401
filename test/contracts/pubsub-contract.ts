import { Duration, PubSub, type Subscription } from '@google-cloud/pubsub';
import { expect } from 'chai';
import type { PubsubServer } from '../support/pubsub/pubsub-server.ts';
import { until } from '../support/until.ts';

const topicName = 'projects/acme-test/topics/top';

/** What hotconf needs of Pub/Sub: the official emulator and the stand-in both hold it. */
export function pubsubContract(start: () => Promise<PubsubServer>): void {
  let server: PubsubServer;
  let client: PubSub;
  const open: Subscription[] = [];

  before(async () => {
    server = await start();
  });
  after(() => server.stop());
  beforeEach(async () => {
    client = new PubSub({ projectId: 'acme-test', apiEndpoint: server.endpoint, emulatorMode: true });
    await client.createTopic('top');
    await client.createSubscription('top', 'sub-one', { ackDeadlineSeconds: 10 });
  });
  afterEach(async () => {
    for (const subscription of open.splice(0)) await subscription.close();
    for (const name of ['sub-one', 'sub-two'])
      await client
        .subscription(name)
        .delete()
        .catch(() => {});
    await client
      .topic('top')
      .delete()
      .catch(() => {});
    await client.close();
  });

  const codeOf = async (act: Promise<unknown>) =>
    act.then(
      () => 'none',
      ({ code }) => code as number,
    );
  const publish = (id: string) => client.topic('top').publishMessage({ data: Buffer.from(id), attributes: { id } });
  const listen = (name: string, isAcked = true) => {
    const subscription = client.subscription(name, {
      streamingOptions: { maxStreams: 1, retryMaxBackoff: Duration.from({ millis: 500 }) },
      closeOptions: { timeout: Duration.from({ seconds: 1 }) },
    });
    const seen = { ids: [] as string[], errors: [] as number[], isClosed: false };
    subscription.on('message', (message) => {
      seen.ids.push(message.attributes.id!);
      if (isAcked) message.ack();
    });
    subscription.on('error', ({ code }) => seen.errors.push(code));
    subscription.on('close', () => {
      seen.isClosed = true;
    });
    open.push(subscription);
    return { seen, subscription };
  };

  it('refuses what is there already, what is missing, and names that are none', async () => {
    expect(await codeOf(client.createTopic('top'))).equal(6);
    expect(await codeOf(client.createSubscription('top', 'sub-one'))).equal(6);
    expect(await codeOf(client.createSubscription('nothing', 'sub-two'))).equal(5);
    expect(await codeOf(client.subscription('nothing').getMetadata())).equal(5);
    expect(await codeOf(client.createSubscription('top', '1'))).equal(3);
  });

  it('gives every subscription each message, with its attributes and data', async () => {
    await client.createSubscription('top', 'sub-two');
    const [one, two] = [listen('sub-one'), listen('sub-two')];
    await publish('a');
    await publish('b');
    await until('both have both', () => one.seen.ids.length === 2 && two.seen.ids.length === 2);
    expect(one.seen.ids.toSorted()).deep.equal(['a', 'b']);
  });

  it('keeps messages for a subscription whose stream is not open yet', async () => {
    await publish('early');
    const { seen } = listen('sub-one');
    await until('it has the message', () => seen.ids.includes('early'));
  });

  it('delivers again what was not acknowledged', async () => {
    const first = listen('sub-one', false);
    await publish('again');
    await until('it is delivered', () => first.seen.ids.length > 0);
    await first.subscription.close();
    const second = listen('sub-one');
    await until('it is delivered again', () => second.seen.ids.includes('again'), 20_000);
  });

  it('ends a stream with NOT_FOUND when its subscription is deleted', async () => {
    const { seen } = listen('sub-one');
    await publish('a');
    await until('the stream is open', () => seen.ids.length === 1);
    await client.subscription('sub-one').delete();
    await until('the stream has ended', () => seen.isClosed);
    expect(seen.errors).deep.equal([5]);
  });

  it('lists the subscriptions of a topic', async () => {
    await client.createTopic('other');
    await client.createSubscription('other', 'sub-two');
    const [own] = await client.topic('top').getSubscriptions();
    expect(own.map(({ name }) => name)).deep.equal(['projects/acme-test/subscriptions/sub-one']);
    await client.topic('other').delete();
  });

  it('says of a subscription whose topic was deleted that it has none, even when the topic is back', async () => {
    const topicOf = async () => (await client.subscription('sub-one').getMetadata())[0].topic;
    expect(await topicOf()).equal(topicName);
    await client.topic('top').delete();
    await client.createTopic('top');
    expect(await topicOf()).equal('_deleted-topic_');
  });
}
