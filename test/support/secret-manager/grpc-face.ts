import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import {
  type handleUnaryCall,
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  status,
} from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import {
  crc32c,
  etagOf,
  type Secret,
  type SecretPatch,
  type SecretStore,
  type SecretVersion,
  secretEtag,
  versionName,
} from './secret-store.ts';
import { StatusError, statusCodes } from './status.ts';

// biome-ignore lint/suspicious/noExplicitAny: messages as the protos describe them
type Message = any;

const protos = createRequire(import.meta.url).resolve('@google-cloud/secret-manager/build/protos/protos.json');

/** How it lets callers in. */
export interface GrpcAccess {
  readonly credentials: ServerCredentials;
  /** Whether the `authorization` of a call is one that may be answered. */
  readonly mayCall: (authorization: string | undefined) => boolean;
}

/** A gRPC server for what Google's protos describe, on a port of the loopback. Returns what stops it. */
export async function serveGrpc(
  store: SecretStore,
  port: number,
  access: GrpcAccess = { credentials: ServerCredentials.createInsecure(), mayCall: () => true },
): Promise<{ port: number; stop(): Promise<void> }> {
  const server = new Server({ 'grpc.max_receive_message_length': 1024 * 1024 });
  const { mayCall } = access;
  server.addService(serviceOf(JSON.parse(readFileSync(protos, 'utf8'))), guarded(handlers(store), mayCall));
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, access.credentials, (error, at) => (error ? reject(error) : resolve(at)));
  });
  return {
    port: bound,
    async stop() {
      server.forceShutdown();
    },
  };
}

function serviceOf(json: Message): ServiceDefinition {
  const definition = fromJSON(json, { longs: String, enums: String, defaults: true, oneofs: true });
  const root: Message = loadPackageDefinition(definition);
  return root.google.cloud.secretmanager.v1.SecretManagerService.service;
}

function guarded(
  all: Record<string, handleUnaryCall<Message, Message>>,
  mayCall: GrpcAccess['mayCall'],
): Record<string, handleUnaryCall<Message, Message>> {
  const guard =
    (handle: handleUnaryCall<Message, Message>): handleUnaryCall<Message, Message> =>
    (call, callback) => {
      const [authorization] = call.metadata.get('authorization');
      if (mayCall(authorization?.toString())) handle(call, callback);
      else callback({ code: status.UNAUTHENTICATED, details: 'Request had invalid authentication credentials.' });
    };
  return Object.fromEntries(Object.entries(all).map(([method, handle]) => [method, guard(handle)]));
}

function handlers(store: SecretStore): Record<string, handleUnaryCall<Message, Message>> {
  const versionCall = (method: string, act: (name: string) => { secret: Secret; version: SecretVersion }) =>
    call(store, method, ({ name }) => versionMessage(act(name)));
  return {
    CreateSecret: call(store, 'CreateSecret', ({ parent, secretId, secret }) =>
      secretMessage(
        store.createSecret(parent, secretId, patchOf(secret, ['labels', 'annotations', 'topics', 'rotation'])),
      ),
    ),
    GetSecret: call(store, 'GetSecret', ({ name }) => secretMessage(store.getSecret(name))),
    UpdateSecret: call(store, 'UpdateSecret', ({ secret, updateMask }) =>
      secretMessage(store.updateSecret(secret.name, patchOf(secret, updateMask.paths.map(camel)))),
    ),
    DeleteSecret: call(store, 'DeleteSecret', ({ name }) => {
      store.deleteSecret(name);
      return {};
    }),
    ListSecrets: call(store, 'ListSecrets', (request) => {
      const all = store.listSecrets(request.parent, request.filter);
      const { page, nextPageToken } = pageOf(all, store.quirks.ignoresPageSize ? {} : request);
      return { secrets: page.map(secretMessage), nextPageToken, totalSize: all.length };
    }),
    ListSecretVersions: call(store, 'ListSecretVersions', (request) => {
      const { secret, versions } = store.listVersions(request.parent, request.filter);
      const { page, nextPageToken } = pageOf(versions, store.quirks.ignoresPageSize ? {} : request);
      return {
        versions: page.map((version) => versionMessage({ secret, version })),
        nextPageToken,
        totalSize: versions.length,
      };
    }),
    AddSecretVersion: call(store, 'AddSecretVersion', ({ parent, payload }) =>
      versionMessage(
        store.addVersion(
          parent,
          Buffer.from(payload.data),
          payload.dataCrc32c === undefined ? undefined : Number(payload.dataCrc32c),
        ),
      ),
    ),
    AccessSecretVersion: call(store, 'AccessSecretVersion', ({ name }, damage) =>
      accessMessage(store.accessVersion(name), damage),
    ),
    GetSecretVersion: versionCall('GetSecretVersion', (name) => store.getVersion(name)),
    DisableSecretVersion: versionCall('DisableSecretVersion', (name) => store.setState(name, 'DISABLED')),
    EnableSecretVersion: versionCall('EnableSecretVersion', (name) => store.setState(name, 'ENABLED')),
    DestroySecretVersion: versionCall('DestroySecretVersion', (name) => store.setState(name, 'DESTROYED')),
  };
}

type Damage = Awaited<ReturnType<SecretStore['faults']['meet']>>;

function call(
  store: SecretStore,
  method: string,
  act: (request: Message, damage: Damage) => Message,
): handleUnaryCall<Message, Message> {
  return ({ request }, callback) => {
    const name = request.name || request.parent || request.secret?.name || '';
    store.faults
      .meet(method, name)
      .then((damage) => callback(null, act(request, damage)))
      .catch((error) => {
        if (!(error instanceof StatusError)) callback({ code: status.INTERNAL, details: String(error) });
        else callback({ code: statusCodes[error.status], details: error.message });
      });
  };
}

/** Pages as Google's lists have them: of `pageSize`, from where `pageToken` says. */
export function pageOf<T>(all: readonly T[], { pageSize, pageToken }: { pageSize?: number; pageToken?: string }) {
  const from = Number(pageToken || 0);
  const size = Number(pageSize) || 25_000;
  return { page: all.slice(from, from + size), nextPageToken: from + size < all.length ? String(from + size) : '' };
}

/** The fields of a secret that a request sets. */
function patchOf(secret: Message, fields: readonly string[]): SecretPatch {
  const values: Message = {
    labels: secret.labels ?? {},
    annotations: secret.annotations ?? {},
    topics: (secret.topics ?? []).map(({ name }: Message) => name),
    versionAliases: Object.fromEntries(
      Object.entries(secret.versionAliases ?? {}).map(([alias, number]) => [alias, Number(number)]),
    ),
    rotation: secret.rotation ?? undefined,
  };
  return Object.fromEntries(fields.filter((field) => field in values).map((field) => [field, values[field]]));
}

const camel = (path: string) => path.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
const timestamp = (date: Date) => ({
  seconds: Math.floor(date.getTime() / 1000),
  nanos: (date.getTime() % 1000) * 1_000_000,
});

function secretMessage(secret: Secret): Message {
  const { name, labels, annotations, topics, versionAliases, createTime } = secret;
  return {
    name,
    labels,
    annotations,
    versionAliases,
    topics: topics.map((topic) => ({ name: topic })),
    createTime: timestamp(createTime),
    replication: { automatic: {} },
    etag: secretEtag(secret),
  };
}

function versionMessage({ secret, version }: { secret: Secret; version: SecretVersion }): Message {
  const { state, createTime, destroyTime, number } = version;
  return {
    name: versionName(secret, version),
    state,
    createTime: timestamp(createTime),
    ...(destroyTime && { destroyTime: timestamp(destroyTime) }),
    etag: etagOf([number, state]),
    clientSpecifiedPayloadChecksum: true,
  };
}

function accessMessage({ secret, version }: { secret: Secret; version: SecretVersion }, damage: Damage): Message {
  const { data, checksum } = damagedPayload(version.data, damage);
  return { name: versionName(secret, version), payload: { data, dataCrc32c: String(checksum) } };
}

export function damagedPayload(data: Buffer, { truncate, wrongChecksum }: Damage) {
  const checksum = crc32c(data);
  return { data: truncate ? data.subarray(0, -1) : data, checksum: wrongChecksum ? checksum ^ 1 : checksum };
}
