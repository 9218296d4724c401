import { PubSub } from '@google-cloud/pubsub';
import type { PubsubServer } from './pubsub/pubsub-server.ts';
import { startPubsub } from './pubsub/start.ts';
import { LocalSecretManager, project, projectNumber } from './secret-manager/local-secret-manager.ts';
import type { SecretPatch } from './secret-manager/secret-store.ts';

let count = 0;

/** Google on this machine, for one test: Secret Manager of its own, and a topic of its own in the suite's Pub/Sub. */
export class TestGoogle {
  readonly pubsub: PubsubServer;
  readonly manager: LocalSecretManager;
  /** For publishing what Secret Manager would not. */
  readonly client: PubSub;
  readonly topicId = `events-${process.pid}-${++count}`;

  private constructor(pubsub: PubsubServer, manager: LocalSecretManager) {
    this.pubsub = pubsub;
    this.manager = manager;
    this.client = new PubSub({ projectId: project, apiEndpoint: pubsub.endpoint, emulatorMode: true });
  }

  static async start(pubsub: PubsubServer): Promise<TestGoogle> {
    const google = new TestGoogle(pubsub, await LocalSecretManager.start({ pubsub: pubsub.endpoint }));
    await google.client.createTopic(google.topicId);
    return google;
  }

  get store() {
    return this.manager.store;
  }

  get topic(): string {
    return `projects/${project}/topics/${this.topicId}`;
  }

  /** Makes a secret with these versions, whose changes are published. */
  secret(
    id: string,
    versions: readonly (string | Buffer)[],
    patch: SecretPatch & { readonly location?: string } = {},
  ): void {
    const { location, ...rest } = patch;
    const parent = `projects/${project}${location ? `/locations/${location}` : ''}`;
    this.store.createSecret(parent, id, { topics: [this.topic], ...rest });
    for (const data of versions) this.add(id, data, location);
  }

  name(id: string, location?: string): string {
    return `projects/${project}${location ? `/locations/${location}` : ''}/secrets/${id}`;
  }

  add(id: string, data: string | Buffer, location?: string): number {
    return this.store.addVersion(this.name(id, location), Buffer.from(data)).version.number;
  }

  setState(id: string, version: number, state: 'ENABLED' | 'DISABLED' | 'DESTROYED'): void {
    this.store.setState(`${this.name(id)}/versions/${version}`, state);
  }

  /** Publishes a message as it is. */
  async publish(attributes: Record<string, string>, data = '{}'): Promise<void> {
    await this.client.topic(this.topicId).publishMessage({ data: Buffer.from(data), attributes });
  }

  /** The attributes by which Secret Manager tells of an added version. */
  added(id: string, version: number): Record<string, string> {
    const secretId = `projects/${projectNumber}/secrets/${id}`;
    return {
      eventType: 'SECRET_VERSION_ADD',
      dataFormat: 'JSON_API_V1',
      secretId,
      versionId: `${secretId}/versions/${version}`,
    };
  }

  /** `sources.gcp` of an options file. */
  options(more: Record<string, unknown> = {}): Record<string, unknown> {
    return {
      project,
      notifications: { topic: this.topicId },
      endpoints: { secretManager: this.manager.endpoint, pubsub: this.pubsub.endpoint },
      ...more,
    };
  }

  async stop(): Promise<void> {
    await this.client.close();
    await this.manager.stop();
  }
}

/** One Pub/Sub for a suite, the emulator where it is installed, and a Google for each of its tests. */
export function useGoogle(): () => TestGoogle {
  let pubsub: PubsubServer;
  let google: TestGoogle;
  before(async () => {
    pubsub = await startPubsub();
  });
  after(() => pubsub.stop());
  beforeEach(async () => {
    google = await TestGoogle.start(pubsub);
  });
  afterEach(() => google.stop());
  return () => google;
}
