import { gcloudEnv } from '../gcloud.ts';
import { serveGrpc } from './grpc-face.ts';
import { Notifier } from './notifier.ts';
import { serveRest } from './rest-face.ts';
import { SecretStore } from './secret-store.ts';

export interface LocalSecretManagerOptions {
  /** Projects by id, with their numbers. */
  readonly projects?: Readonly<Record<string, string>>;
  /** `host:port` of Pub/Sub; without it nothing is published. */
  readonly pubsub?: string;
  /** Any free port unless given. */
  readonly grpcPort?: number;
  readonly restPort?: number;
}

export const project = 'acme-test';
export const projectNumber = '123456789012';

// Google's libraries would look for a metadata server, which is not on this machine.
process.env.METADATA_SERVER_DETECTION ??= 'none';

/** Secret Manager on this machine: one store behind the gRPC and the REST face, publishing real notifications. */
export class LocalSecretManager {
  readonly store: SecretStore;
  readonly #parts: readonly { stop(): Promise<void> }[];
  /** `host:port` for gRPC. */
  readonly endpoint: string;
  /** For REST. */
  readonly url: string;

  private constructor(
    store: SecretStore,
    grpcPort: number,
    restPort: number,
    parts: readonly { stop(): Promise<void> }[],
  ) {
    this.store = store;
    this.endpoint = `127.0.0.1:${grpcPort}`;
    this.url = `http://127.0.0.1:${restPort}/`;
    this.#parts = parts;
  }

  static async start({
    projects = { [project]: projectNumber },
    pubsub,
    grpcPort = 0,
    restPort = 0,
  }: LocalSecretManagerOptions = {}): Promise<LocalSecretManager> {
    const store = new SecretStore(projects);
    const grpc = await serveGrpc(store, grpcPort);
    const rest = await serveRest(store, restPort);
    const notifier = pubsub ? [new Notifier(store, pubsub, Object.keys(projects)[0]!)] : [];
    return new LocalSecretManager(store, grpc.port, rest.port, [grpc, rest, ...notifier]);
  }

  /** What makes the real `gcloud` speak to it, with a folder of its own for its settings. */
  gcloudEnv(config: string): Record<string, string> {
    return gcloudEnv({ url: this.url, project, config });
  }

  async stop(): Promise<void> {
    for (const part of this.#parts) await part.stop();
  }
}
