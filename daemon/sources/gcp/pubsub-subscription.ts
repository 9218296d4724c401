import { Duration, type Message, PubSub, type Subscription } from '@google-cloud/pubsub';
import { DaemonError } from '../../model/errors.ts';
import type { Endpoint, NotificationOptions } from '../../ops/gcp-options.ts';
import { GoogleCredentials } from './google-credentials.ts';
import { explainGoogle, type GrpcStatus, statusOf, type Told } from './google-errors.ts';

export interface PubsubSubscriptionParts {
  readonly project: string;
  readonly notifications: NotificationOptions;
  readonly endpoint?: Endpoint;
  /** What tells this daemon from every other one, for the name of a subscription of its own. */
  readonly name: string;
  /** Proved before the first call; a loopback endpoint asks for none. */
  readonly credentials?: GoogleCredentials;
}

export interface SubscriptionListener {
  readonly onMessage: (attributes: Readonly<Record<string, string>>, messageId: string) => void;
  /** The connection was cut; the library mends it, but there may be a gap. */
  readonly onDoubt: () => void;
  /** Nothing will come any more until it is opened again. */
  readonly onDead: () => void;
}

const attempt = { retry: null, timeout: 5_000 } as const;
/** `_deleted-topic_` is what a subscription says whose topic was deleted, for ever. */
const deletedTopic = '_deleted-topic_';
/** Google's defaults find a half-open connection after 381 s and come back from a long outage after 77 s. */
const channel = {
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.max_reconnect_backoff_ms': 5_000,
};
const retentionS = 600;
const expiryS = 86_400;
const closeWithinS = 2;

/** One subscription by Google's own client. The only home of that package. */
export class PubsubSubscription {
  readonly name: string;
  readonly #parts: PubsubSubscriptionParts;
  readonly #credentials: GoogleCredentials;
  readonly #isOwn: boolean;
  #pubsub: PubSub | undefined;
  #open: Subscription | undefined;

  constructor(parts: PubsubSubscriptionParts) {
    const { project, notifications, endpoint, name } = parts;
    this.#parts = parts;
    this.#credentials =
      parts.credentials ?? new GoogleCredentials({ project, unreachable: 'notifications_unavailable' });
    this.#isOwn = notifications.subscription === 'auto';
    this.name = this.#isOwn ? `projects/${project}/subscriptions/${name}` : notifications.subscription;
    if (endpoint?.isLoopback) process.env.METADATA_SERVER_DETECTION = 'none';
  }

  /** Sees to it that the subscription is there and is one to our topic. Throws why it is not. */
  async ensure(): Promise<'found' | 'made'> {
    const { topic } = this.#parts.notifications;
    const found = await this.#topicOf();
    if (found === topic || found === 'not told') return 'found';
    if (!this.#isOwn) throw this.#unfit(found);
    if (found !== 'missing')
      await this.#remove().catch((error) => {
        throw this.#explain(error, this.name, making);
      });
    await this.#make(topic);
    return 'made';
  }

  /** Opens the stream. What was open before is closed. */
  async open({ onMessage, onDoubt, onDead }: SubscriptionListener): Promise<void> {
    await this.#close();
    const isLocal = this.#parts.endpoint?.isLoopback;
    const pubsub = await this.#client();
    const subscription = pubsub.subscription(this.name, {
      // The emulator cuts idle streams every 30 to 45 s; messages wait until it is open again.
      streamingOptions: { maxStreams: 1, retryMaxBackoff: Duration.from({ millis: isLocal ? 500 : 5_000 }) },
      closeOptions: { timeout: Duration.from({ seconds: closeWithinS }) },
    });
    const isOpen = () => this.#open === subscription;
    subscription.on('message', (message: Message) => {
      onMessage(message.attributes, message.id);
      message.ack();
    });
    subscription.on('debug', ({ error }) => void (error && isOpen() && onDoubt()));
    // What is wrong is found out by ensuring that the subscription is there.
    subscription.on('error', () => {});
    subscription.on('close', () => void (isOpen() && onDead()));
    this.#open = subscription;
    subscription.open();
  }

  /** Throws where the topic is not there, or may not be looked at. */
  async findTopic(): Promise<void> {
    const { topic } = this.#parts.notifications;
    try {
      await (await this.#client()).topic(topic).getMetadata(attempt);
    } catch (error) {
      throw this.#explain(error, topic, looking(topic));
    }
  }

  /** Throws where the subscription is not there, or is one to another topic. */
  async find(): Promise<void> {
    const { topic } = this.#parts.notifications;
    const found = await this.#topicOf();
    if (found === topic || found === 'not told') return;
    throw this.#unfit(found);
  }

  /** Closes the stream, and deletes a subscription of our own. */
  async stop(): Promise<void> {
    await this.#close();
    if (!this.#pubsub) return;
    if (this.#isOwn && !this.#parts.notifications.keep) await this.#remove().catch(() => {});
    await this.#pubsub.close();
  }

  async #client(): Promise<PubSub> {
    const { project, endpoint } = this.#parts;
    const auth = endpoint?.isLoopback ? undefined : await this.#credentials.ready();
    this.#pubsub ??= new PubSub({
      projectId: project,
      ...channel,
      ...(auth && { authClient: await auth.getClient() }),
      ...(endpoint && { apiEndpoint: `${endpoint.host}:${endpoint.port}`, emulatorMode: endpoint.isLoopback }),
    });
    return this.#pubsub;
  }

  #explain(error: unknown, subject: string, told: Partial<Record<GrpcStatus, Told>>): DaemonError {
    if (statusOf(error) !== 'UNAUTHENTICATED') return explainGoogle(error, subject, told, 'notifications_unavailable');
    // The client keeps the credentials that it was made with: the next one is made of what is there then.
    this.#credentials.forget();
    const pubsub = this.#pubsub;
    this.#pubsub = undefined;
    pubsub?.close().catch(() => {});
    return this.#credentials.refused(subject);
  }

  /** Why a subscription that we did not make is none that we can use. */
  #unfit(found: string): DaemonError {
    const { topic } = this.#parts.notifications;
    if (found === 'missing') {
      const mend = `gcloud pubsub subscriptions create ${this.name} --topic=${topic}`;
      return new DaemonError('subscription_not_found', 'there is no such subscription', { subject: this.name, mend });
    }
    const what = found === deletedTopic ? 'its topic was deleted' : `it is a subscription to ${found}, not to ${topic}`;
    return new DaemonError('subscription_conflict', what, { subject: this.name, mend: 'name another one, or `auto`' });
  }

  async #close(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.close().catch(() => {});
  }

  async #topicOf(): Promise<string> {
    try {
      const pubsub = await this.#client();
      const [metadata] = await pubsub.subscription(this.name).getMetadata(attempt);
      return metadata.topic ?? 'not told';
    } catch (error) {
      if (statusOf(error) === 'NOT_FOUND') return 'missing';
      // Reading messages and reading about the subscription are two permissions.
      if (statusOf(error) === 'PERMISSION_DENIED' && !this.#isOwn) return 'not told';
      throw this.#explain(error, this.name, making);
    }
  }

  async #make(topic: string): Promise<void> {
    try {
      const pubsub = await this.#client();
      await pubsub.createSubscription(pubsub.topic(topic), this.name.split('/').at(-1)!, {
        messageRetentionDuration: { seconds: retentionS },
        expirationPolicy: { ttl: { seconds: expiryS } },
        ackDeadlineSeconds: 10,
        labels: { app: 'hotconf' },
        gaxOpts: attempt,
      });
    } catch (error) {
      if (statusOf(error) === 'ALREADY_EXISTS') return;
      if (statusOf(error) !== 'NOT_FOUND') throw this.#explain(error, this.name, making);
      throw this.#explain(error, topic, looking(topic));
    }
  }

  async #remove(): Promise<void> {
    await this.#pubsub!.subscription(this.name).delete(attempt);
  }
}

const looking = (topic: string): Partial<Record<GrpcStatus, Told>> => ({
  NOT_FOUND: { code: 'topic_not_found', what: 'there is no such topic', mend: `gcloud pubsub topics create ${topic}` },
  PERMISSION_DENIED: {
    code: 'notifications_forbidden',
    what: 'looking at the topic is not permitted',
    mend: "grant roles/pubsub.viewer on it to the daemon's account, or trust that it is there",
  },
});

const making: Partial<Record<GrpcStatus, Told>> = {
  PERMISSION_DENIED: {
    code: 'notifications_forbidden',
    what: 'making a subscription is not permitted',
    mend: "grant roles/pubsub.editor on the project to the daemon's account, or name a subscription that is there",
  },
  INVALID_ARGUMENT: {
    code: 'notifications_refused',
    what: 'Pub/Sub refuses this name',
    mend: 'check topic and subscription',
  },
};
