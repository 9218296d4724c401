import { createVerify, generateKeyPairSync, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { PubSub } from '@google-cloud/pubsub';
import { ServerCredentials } from '@grpc/grpc-js';
import type { PubsubServer } from './pubsub/pubsub-server.ts';
import { startStandIn } from './pubsub/stand-in.ts';
import { serveGrpc } from './secret-manager/grpc-face.ts';
import { project, projectNumber } from './secret-manager/local-secret-manager.ts';
import { Notifier } from './secret-manager/notifier.ts';
import { SecretStore } from './secret-manager/secret-store.ts';

const fixtures = join(import.meta.dirname, '../fixtures/tls');
const authority = join(fixtures, 'ca.pem');
const tls = { key: readFileSync(join(fixtures, 'server.key')), cert: readFileSync(join(fixtures, 'server.pem')) };

/**
 * Secret Manager by TLS, which asks for credentials, and all that gives out tokens: Google's token services and a metadata
 * server. Google's clients speak to them by Google's own names, through a proxy: nothing leaves the loopback.
 */
export class GoogleWithCredentials {
  readonly store = new SecretStore({ [project]: projectNumber });
  readonly email = `hotconf@${project}.iam.gserviceaccount.com`;
  /** Requests for tokens: `host path`. */
  readonly asked: string[] = [];
  /** Tokens and signatures are refused. */
  refuses = false;
  /** The metadata server takes connections and never answers. */
  isMetadataSilent = false;
  /** The metadata server takes connections and cuts them. */
  isMetadataBroken = false;
  /** The HTTP status that token servers answer every request with. */
  tokenFailure: number | undefined;
  readonly #keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
  readonly #tokens = new Set<string>();
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  #grpc: { port: number; stop(): Promise<void> } | undefined;
  #pubsub: (PubsubServer & { securePort: number }) | undefined;
  #notifier: Notifier | undefined;
  #proxyPort = 0;
  #metadataPort = 0;

  static async start(): Promise<GoogleWithCredentials> {
    const google = new GoogleWithCredentials();
    await google.#start();
    return google;
  }

  /** The environment of a process that speaks to it, without credentials of its own. */
  env(home: string): Record<string, string> {
    return {
      PATH: process.env.PATH!,
      HOME: home,
      NODE_EXTRA_CA_CERTS: authority,
      GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: authority,
      https_proxy: `http://127.0.0.1:${this.#proxyPort}`,
      no_proxy: '127.0.0.1',
      METADATA_SERVER_DETECTION: 'none',
    };
  }

  /** What makes the library ask our metadata server. */
  get metadataEnv(): Record<string, string> {
    return { GCE_METADATA_HOST: `127.0.0.1:${this.#metadataPort}`, METADATA_SERVER_DETECTION: 'assume-present' };
  }

  /** Key files as Google and gcloud make them. */
  get keyFiles() {
    const privateKey = this.#keys.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    return {
      service_account: {
        type: 'service_account',
        project_id: project,
        private_key_id: 'k1',
        private_key: privateKey,
        client_email: this.email,
        client_id: '1',
        token_uri: 'https://oauth2.googleapis.com/token',
      },
      authorized_user: { type: 'authorized_user', client_id: 'c', client_secret: 's', refresh_token: 'r' },
      external_account: (subjectTokenFile: string) => ({
        type: 'external_account',
        audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q',
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        token_url: 'https://sts.googleapis.com/v1/token',
        credential_source: { file: subjectTokenFile },
      }),
    };
  }

  /** Starts Pub/Sub, with one topic; what changes in secrets with this topic is published. Returns the topic. */
  async startPubsub(): Promise<string> {
    this.#pubsub = await startStandIn(0, this.#access);
    const { endpoint } = this.#pubsub;
    const client = new PubSub({ projectId: project, apiEndpoint: endpoint, emulatorMode: true });
    await client.createTopic('secret-events');
    await client.close();
    this.#notifier = new Notifier(this.store, endpoint, project);
    return `projects/${project}/topics/secret-events`;
  }

  /** Makes a secret with these versions. */
  secret(id: string, versions: readonly string[], topics: readonly string[] = []): void {
    this.store.createSecret(`projects/${project}`, id, { topics: [...topics] });
    for (const text of versions) this.store.addVersion(`projects/${project}/secrets/${id}`, Buffer.from(text));
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#servers.map((server) => new Promise((done) => server.close(done))));
    await this.#notifier?.stop();
    await this.#pubsub?.stop();
    await this.#grpc?.stop();
  }

  get #access() {
    const credentials = ServerCredentials.createSsl(null, [{ private_key: tls.key, cert_chain: tls.cert }]);
    return { credentials, mayCall: (header: string | undefined) => this.#mayCall(header) };
  }

  async #start(): Promise<void> {
    this.#grpc = await serveGrpc(this.store, 0, this.#access);
    const answer: Parameters<typeof createHttpServer>[1] = (request, response) => {
      this.asked.push(`${request.headers.host} ${request.url}`);
      request.resume();
      if (this.tokenFailure) return response.writeHead(this.tokenFailure).end();
      if (this.refuses) return response.writeHead(400).end('{"error":"invalid_grant"}');
      const token = randomUUID();
      this.#tokens.add(token);
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify({
          access_token: token,
          expires_in: 3600,
          token_type: 'Bearer',
          issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        }),
      );
    };
    const tokens = createHttpsServer(tls, answer);
    const tokensPort = await this.#listen(tokens);
    const proxy = createHttpServer();
    proxy.on('connect', ({ url }: IncomingMessage, client: Socket) => {
      const ports: Record<string, number | undefined> = {
        'secretmanager.googleapis.com': this.#grpc!.port,
        'pubsub.googleapis.com': this.#pubsub?.securePort,
      };
      const port = ports[url!.replace(/:.*$/, '')] ?? tokensPort;
      const upstream = connect(port, '127.0.0.1', () => {
        client.write('HTTP/1.1 200 Connection Established\r\n\r\n');
        upstream.pipe(client).pipe(upstream);
      });
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket);
        socket.on('error', () => {});
      }
    });
    this.#proxyPort = await this.#listen(proxy);
    const metadata = createHttpServer((request, response) => {
      if (this.isMetadataSilent) return;
      if (this.isMetadataBroken) return void request.socket.destroy();
      response.setHeader('metadata-flavor', 'Google');
      if (request.url!.includes('/token')) return answer(request, response);
      if (request.url!.includes('universe')) return response.end('googleapis.com');
      response.end('"ok"');
    });
    this.#metadataPort = await this.#listen(metadata);
  }

  async #listen(server: Server): Promise<number> {
    this.#servers.push(server);
    server.on('connection', (socket) => this.#sockets.add(socket));
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    return (server.address() as AddressInfo).port;
  }

  #mayCall(authorization = ''): boolean {
    const token = /^Bearer (.+)$/.exec(authorization)?.[1] ?? '';
    if (this.refuses) return false;
    return this.#tokens.has(token) || this.#isSigned(token);
  }

  /** A service account signs for itself: RFC 7519, by RS256. */
  #isSigned(token: string): boolean {
    const [head = '', body = '', signature = ''] = token.split('.');
    if (!signature) return false;
    const { iss } = JSON.parse(Buffer.from(body, 'base64url').toString());
    const verify = createVerify('RSA-SHA256').update(`${head}.${body}`);
    return iss === this.email && verify.verify(this.#keys.publicKey, signature, 'base64url');
  }
}
