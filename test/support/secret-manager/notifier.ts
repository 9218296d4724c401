import { PubSub } from '@google-cloud/pubsub';
import { secretJson, versionJson } from './rest-face.ts';
import { type SecretStore, type StoreEvent, versionName } from './secret-store.ts';

/** Publishes what happens in a store to the topics of its secrets, as Secret Manager does. */
export class Notifier {
  readonly #pubsub: PubSub;
  readonly #pending = new Set<Promise<unknown>>();

  constructor(store: SecretStore, pubsub: string, project: string) {
    this.#pubsub = new PubSub({ projectId: project, apiEndpoint: pubsub, emulatorMode: true });
    store.on('event', (event) => this.#publish(event));
  }

  #publish(event: StoreEvent): void {
    for (const topic of event.secret.topics) {
      const { data, attributes } = notificationOf(event);
      // One message at a time: batching would hold each back.
      const publisher = this.#pubsub.topic(topic, { batching: { maxMessages: 1 } });
      // A topic that is gone loses its messages; Secret Manager does not fail by that either.
      const sent = publisher.publishMessage({ data, attributes }).catch(() => {});
      this.#pending.add(sent);
      sent.finally(() => this.#pending.delete(sent));
    }
  }

  async stop(): Promise<void> {
    await Promise.race([Promise.all(this.#pending), new Promise((resolve) => setTimeout(resolve, 1_000).unref())]);
    await this.#pubsub.close();
  }
}

/** The message that Secret Manager publishes: names carry the project's number, times the Pacific offset. */
export function notificationOf({ type, secret, version }: StoreEvent): {
  data: Buffer;
  attributes: Record<string, string>;
} {
  if (type === 'TOPIC_CONFIGURED') return { data: Buffer.from('{}'), attributes: { eventType: type } };
  const resource = version ? versionJson({ secret, version }) : secretJson(secret);
  return {
    data: Buffer.from(JSON.stringify(resource)),
    attributes: {
      eventType: type,
      dataFormat: 'JSON_API_V1',
      secretId: secret.name,
      ...(version && { versionId: versionName(secret, version) }),
      ...(type === 'SECRET_DELETE' && { deleteType: 'REQUESTED' }),
      timestamp: pacific(new Date()),
    },
  };
}

function pacific(date: Date): string {
  return `${new Date(date.getTime() - 8 * 3_600_000).toISOString().slice(0, -1)}-08:00`;
}
