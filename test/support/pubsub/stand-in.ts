import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import {
  type handleBidiStreamingCall,
  type handleUnaryCall,
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  status,
} from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import type { GrpcAccess } from '../secret-manager/grpc-face.ts';
import type { PubsubServer } from './pubsub-server.ts';

// biome-ignore lint/suspicious/noExplicitAny: messages as the protos describe them
type Message = any;
type Stream = ServerDuplexStream<Message, Message>;

interface Held {
  readonly message: Message;
  attempts: number;
}

interface Subscription {
  readonly request: Message;
  topic: string;
  readonly backlog: Held[];
  readonly leased: Map<string, { readonly held: Held; readonly timer: NodeJS.Timeout }>;
  readonly streams: Set<Stream>;
}

const protos = createRequire(import.meta.url).resolve('@google-cloud/pubsub-api/build/protos/protos.json');
const defaultDeadlineS = 10;

/**
 * As much of Pub/Sub as hotconf and its tests use; `test/contracts/pubsub-contract.ts` holds it to what the emulator does.
 * With `access` it has a second port, which asks subscribers for credentials.
 */
export async function startStandIn(port = 0, access?: GrpcAccess): Promise<PubsubServer & { securePort: number }> {
  const broker = new Broker();
  const definition = fromJSON(JSON.parse(readFileSync(protos, 'utf8')), {
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
  });
  const { Publisher, Subscriber } = (loadPackageDefinition(definition) as Message).google.pubsub.v1;
  const server = new Server();
  server.addService(Publisher.service, broker.publisher());
  server.addService(Subscriber.service, guarded(broker.subscriber(), access));
  const bind = (to: number, credentials: ServerCredentials) =>
    new Promise<number>((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${to}`, credentials, (error, at) => (error ? reject(error) : resolve(at)));
    });
  const bound = await bind(port, ServerCredentials.createInsecure());
  const securePort = access ? await bind(0, access.credentials) : 0;
  return {
    kind: 'stand-in',
    endpoint: `127.0.0.1:${bound}`,
    securePort,
    async stop() {
      broker.stop();
      server.forceShutdown();
    },
  };
}

function guarded(handlers: ReturnType<Broker['subscriber']>, access: GrpcAccess | undefined): typeof handlers {
  if (!access) return handlers;
  const refusal = { code: status.UNAUTHENTICATED, details: 'Request had invalid authentication credentials.' };
  const guard = (handle: Message) => (call: Message, callback?: Message) => {
    const [authorization] = call.metadata.get('authorization');
    if (access.mayCall(authorization?.toString())) handle(call, callback);
    else if (callback) callback(refusal);
    else call.emit('error', Object.assign(new Error(refusal.details), refusal));
  };
  return Object.fromEntries(Object.entries(handlers).map(([name, handle]) => [name, guard(handle)]));
}

class Failure extends Error {
  readonly code: number;

  constructor(code: number, details: string) {
    super(details);
    this.code = code;
  }
}

class Broker {
  readonly #topics = new Set<string>();
  readonly #subscriptions = new Map<string, Subscription>();

  publisher(): Record<string, handleUnaryCall<Message, Message>> {
    return {
      CreateTopic: unary(({ name }) => {
        checkName(name);
        if (this.#topics.has(name)) throw new Failure(status.ALREADY_EXISTS, 'Topic already exists');
        this.#topics.add(name);
        return { name };
      }),
      GetTopic: unary(({ topic }) => ({ name: this.#topic(topic) })),
      DeleteTopic: unary(({ topic }) => {
        this.#topics.delete(this.#topic(topic));
        for (const subscription of this.#subscriptions.values())
          if (subscription.topic === topic) subscription.topic = '_deleted-topic_';
        return {};
      }),
      ListTopicSubscriptions: unary(({ topic }) => {
        this.#topic(topic);
        const own = [...this.#subscriptions].filter(([, subscription]) => subscription.topic === topic);
        return { subscriptions: own.map(([name]) => name) };
      }),
      Publish: unary(({ topic, messages }) => {
        this.#topic(topic);
        const messageIds = messages.map((message: Message) => this.#publish(topic, message));
        return { messageIds };
      }),
    };
  }

  subscriber(): Record<string, handleUnaryCall<Message, Message> | handleBidiStreamingCall<Message, Message>> {
    return {
      CreateSubscription: unary((request) => {
        if (this.#subscriptions.has(request.name))
          throw new Failure(status.ALREADY_EXISTS, 'Subscription already exists');
        checkName(request.name);
        this.#topic(request.topic);
        const subscription = {
          request,
          topic: request.topic,
          backlog: [],
          leased: new Map(),
          streams: new Set<Stream>(),
        };
        this.#subscriptions.set(request.name, subscription);
        return request;
      }),
      GetSubscription: unary(({ subscription }) => {
        const { request, topic } = this.#subscription(subscription);
        return { ...request, topic };
      }),
      DeleteSubscription: unary(({ subscription: name }) => {
        const subscription = this.#subscription(name);
        this.#subscriptions.delete(name);
        for (const { timer } of subscription.leased.values()) clearTimeout(timer);
        for (const stream of subscription.streams)
          fail(stream, new Failure(status.NOT_FOUND, 'Subscription does not exist'));
        return {};
      }),
      Acknowledge: unary(({ subscription, ackIds }) => {
        for (const id of ackIds) this.#take(this.#subscription(subscription), id);
        return {};
      }),
      ModifyAckDeadline: unary(({ subscription: name, ackIds, ackDeadlineSeconds }) => {
        const subscription = this.#subscription(name);
        for (const id of ackIds) {
          const held = this.#take(subscription, id);
          if (!held) continue;
          if (ackDeadlineSeconds > 0) this.#lease(subscription, held, ackDeadlineSeconds, id);
          else subscription.backlog.push(held);
        }
        this.#deliver(subscription);
        return {};
      }),
      StreamingPull: (stream: Stream) => this.#stream(stream),
    };
  }

  stop(): void {
    for (const { leased } of this.#subscriptions.values()) for (const { timer } of leased.values()) clearTimeout(timer);
  }

  #topic(name: string): string {
    if (this.#topics.has(name)) return name;
    throw new Failure(status.NOT_FOUND, 'Topic not found');
  }

  #subscription(name: string): Subscription {
    const found = this.#subscriptions.get(name);
    if (found) return found;
    throw new Failure(status.NOT_FOUND, 'Subscription does not exist');
  }

  #publish(topic: string, message: Message): string {
    const now = Date.now();
    const messageId = randomUUID();
    const publishTime = { seconds: Math.floor(now / 1000), nanos: (now % 1000) * 1_000_000 };
    for (const subscription of this.#subscriptions.values()) {
      if (subscription.topic !== topic) continue;
      subscription.backlog.push({ message: { ...message, messageId, publishTime }, attempts: 0 });
      this.#deliver(subscription);
    }
    return messageId;
  }

  #stream(stream: Stream): void {
    let own: Subscription | undefined;
    stream.on('data', ({ subscription: name }) => {
      if (!name) return;
      try {
        own = this.#subscription(name);
        own.streams.add(stream);
        this.#deliver(own);
      } catch (error) {
        fail(stream, error as Failure);
      }
    });
    const gone = () => own?.streams.delete(stream);
    stream.on('cancelled', gone).on('close', gone).on('error', gone);
    stream.on('end', () => {
      gone();
      stream.end();
    });
  }

  #deliver(subscription: Subscription): void {
    const stream = subscription.streams.values().next().value;
    if (!stream || subscription.backlog.length === 0) return;
    const deadlineS = subscription.request.ackDeadlineSeconds || defaultDeadlineS;
    const receivedMessages = subscription.backlog.splice(0).map((held) => {
      held.attempts++;
      return { ackId: this.#lease(subscription, held, deadlineS), message: held.message, deliveryAttempt: 0 };
    });
    stream.write({ receivedMessages });
  }

  #lease(subscription: Subscription, held: Held, seconds: number, id: string = randomUUID()): string {
    const timer = setTimeout(() => {
      if (this.#take(subscription, id)) subscription.backlog.push(held);
      this.#deliver(subscription);
    }, seconds * 1000);
    timer.unref();
    subscription.leased.set(id, { held, timer });
    return id;
  }

  #take(subscription: Subscription, id: string): Held | undefined {
    const lease = subscription.leased.get(id);
    if (lease) clearTimeout(lease.timer);
    subscription.leased.delete(id);
    return lease?.held;
  }
}

function checkName(name: string): void {
  if (!/^projects\/[^/]+\/(topics|subscriptions)\/[A-Za-z][\w.~+%-]{2,254}$/.test(name))
    throw new Failure(status.INVALID_ARGUMENT, 'Invalid name');
}

function fail(stream: Stream, { code, message }: Failure): void {
  stream.emit('error', Object.assign(new Error(message), { code, details: message }));
}

function unary(act: (request: Message) => Message): handleUnaryCall<Message, Message> {
  return ({ request }, callback) => {
    try {
      callback(null, act(request));
    } catch (error) {
      const { code = status.INTERNAL, message } = error as Failure;
      callback({ code, details: message });
    }
  };
}
