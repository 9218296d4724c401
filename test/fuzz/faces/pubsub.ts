import { askHttp } from '../../support/admin-http.ts';
import { startStandIn } from '../../support/pubsub/stand-in.ts';
import { projectNumber } from '../../support/secret-manager/local-secret-manager.ts';
import { until } from '../../support/until.ts';
import { TestGoogle } from '../../support/use-google.ts';
import { type Face, Finding, must, planted } from '../face.ts';
import { FuzzDaemon } from '../fuzz-daemon.ts';
import { isEqual } from './documents.ts';

const maxMessages = 20;
/** Calls to Secret Manager that one input may cause: each message a look, which walks past at most 100 versions. */
const maxReads = 300;

/**
 * Messages on the topic, which many may publish to: a daemon with Google's own client on a Pub/Sub and a Secret Manager of
 * this machine. An input is messages between empty lines, each of `name=value` lines; `data=` is the message's content.
 */
export async function pubsubFace(): Promise<Face> {
  process.env.METADATA_SERVER_DETECTION = 'none';
  const pubsub = await startStandIn();
  const google = await TestGoogle.start(pubsub);
  google.secret('key', ['value-1']);
  google.secret('pinned', ['value-1']);
  google.secret('found-1', ['value-1'], { labels: { app: 'x' } });
  const named = [
    { secret: 'key', at: 'llm.key' },
    { secret: 'pinned', at: 'extra.pinned', version: 1 },
  ];
  const gcp = google.options({ secrets: named, discover: { filter: 'labels.app=x', at: 'extra.found' } });
  const fuzzed = await FuzzDaemon.start(() => ({ sources: { gcp } }));
  const topic = google.client.topic(google.topicId, { batching: { maxMilliseconds: 0 } });
  const handled = async () => {
    const { text } = await askHttp({ socketPath: fuzzed.socket('admin') }, '/metrics');
    const counts = text.matchAll(/^config_pubsub_messages_total\{.*\} (\d+)$/gm);
    return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
  };
  let versions = 1;
  return {
    corpus: messages().map((text) => Buffer.from(text)),
    words: [
      ...[
        '\n\n',
        'eventType=SECRET_VERSION_ADD\n',
        'eventType=SECRET_DELETE\n',
        'eventType=SECRET_ROTATE\n',
        'versionId=',
        'secretId=',
      ],
      ...[
        '/versions/',
        '/locations/x',
        'projects/',
        'secrets/key',
        '__proto__=1\n',
        'latest',
        `projects/${projectNumber}/secrets/key`,
      ],
    ],
    modules: /^daemon\/sources\/gcp\//,
    hasFeedback: false,
    async try(input) {
      const before = await handled();
      google.store.faults.calls.splice(0);
      const all = messagesOf(input);
      await Promise.all(all.map((message) => topic.publishMessage(message)));
      await until('all are handled', async () => (await handled()) >= before + all.length, 20_000).catch(() => {
        throw new Finding('a message is not handled');
      });
      must(google.store.faults.calls.length <= maxReads, 'messages have too much read');
      const { llm, extra } = fuzzed.honest.settings as unknown as Record<string, unknown>;
      const served = { pinned: 'value-1', found: { 'found-1': 'value-1' } };
      must(isEqual({ llm, extra }, { llm: { key: `value-${versions}` }, extra: served }), 'a message changes settings');
      fuzzed.expectQuietLog();
    },
    async check() {
      versions = google.add('key', `value-${versions + 1}`);
      await until('it is there', () => fuzzed.honest.settings.llm.key === `value-${versions}`, 20_000).catch(() => {
        throw new Finding('a version that was added does not come');
      });
      await fuzzed.expectHonestServed();
    },
    async close() {
      await fuzzed.close();
      await google.stop();
      await pubsub.stop();
    },
  };
}

interface Published {
  readonly attributes: Record<string, string>;
  readonly data: Buffer;
}

function messagesOf(input: Buffer): Published[] {
  const blocks = input.toString('utf8').split(/\n\n+/).slice(0, maxMessages);
  return blocks.map((block) => {
    const pairs = block.split('\n').map((line) => {
      const [, name = '', value = ''] = /^([^=]*)=?([\s\S]*)$/.exec(line)!;
      return [name, value] as const;
    });
    const data = Buffer.from(pairs.find(([name]) => name === 'data')?.[1] ?? 'x');
    return {
      attributes: Object.fromEntries(pairs.filter(([name]) => name !== 'data' && name !== '').slice(0, 100)),
      data,
    };
  });
}

function messages(): string[] {
  const number = `projects/${projectNumber}/secrets`;
  const added = (id: string, version: number | string) =>
    `eventType=SECRET_VERSION_ADD\nsecretId=${number}/${id}\nversionId=${number}/${id}/versions/${version}\ndataFormat=JSON_API_V1\ndata={}`;
  const types = ['CREATE', 'UPDATE', 'DELETE', 'ROTATE', 'VERSION_ENABLE', 'VERSION_DISABLE', 'VERSION_DESTROY'];
  return [
    ...['key', 'pinned', 'found-1', 'other'].map((id) => added(id, 1)),
    ...types.map((type) => added('key', 1).replace('VERSION_ADD', type)),
    ...[added('key', 7), added('key', '99999999999999999999'), 'eventType=TOPIC_CONFIGURED', `data=${planted}`],
    `eventType=SECRET_DELETE\nsecretId=projects/acme/locations/europe-west1/secrets/key\ndeleteType=REQUESTED`,
    [added('key', 1), added('key', 2), added('found-1', 1)].join('\n\n'),
  ];
}
