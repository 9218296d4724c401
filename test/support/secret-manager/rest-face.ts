import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { damagedPayload, pageOf } from './grpc-face.ts';
import {
  etagOf,
  type Secret,
  type SecretPatch,
  type SecretStore,
  type SecretVersion,
  secretEtag,
  versionName,
} from './secret-store.ts';
import { StatusError, type StatusName } from './status.ts';

// biome-ignore lint/suspicious/noExplicitAny: JSON as the REST reference describes it
type Json = any;

const httpCodes: Readonly<Record<StatusName, number>> = {
  INVALID_ARGUMENT: 400,
  DEADLINE_EXCEEDED: 504,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  PERMISSION_DENIED: 403,
  RESOURCE_EXHAUSTED: 429,
  FAILED_PRECONDITION: 400,
  ABORTED: 409,
  UNIMPLEMENTED: 501,
  INTERNAL: 500,
  UNAVAILABLE: 503,
};

/** The REST face, which the real `gcloud` speaks. */
export async function serveRest(store: SecretStore, port: number): Promise<{ port: number; stop(): Promise<void> }> {
  const server = createServer(async (request, response) => {
    const { status, body } = await answer(store, request);
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(store: SecretStore, request: IncomingMessage): Promise<{ status: number; body: Json }> {
  try {
    let text = '';
    for await (const chunk of request.setEncoding('utf8')) text += chunk;
    const url = new URL(request.url!, 'http://localhost');
    const [path, verb] = decodeURIComponent(url.pathname).split(':');
    const name = path!.replace(/^\/v1\//, '');
    return {
      status: 200,
      body: await act(
        store,
        `${request.method} ${kindOf(name)}${verb ? `:${verb}` : ''}`,
        name,
        text ? JSON.parse(text) : {},
        url.searchParams,
      ),
    };
  } catch (error) {
    const { status, message } = error instanceof StatusError ? error : new StatusError('INTERNAL', String(error));
    return { status: httpCodes[status], body: { error: { code: httpCodes[status], message, status } } };
  }
}

function kindOf(name: string): string {
  const last = name.split('/').at(-1)!;
  if (last === 'secrets' || last === 'versions') return last;
  return name.includes('/versions/') ? 'version' : 'secret';
}

async function act(store: SecretStore, route: string, name: string, body: Json, query: URLSearchParams): Promise<Json> {
  const parent = name.replace(/\/(secrets|versions)$/, '');
  const page = { pageSize: Number(query.get('pageSize')), pageToken: query.get('pageToken') ?? '' };
  const meet = (method: string) => store.faults.meet(method, name);
  const filter = query.get('filter') ?? '';
  switch (route) {
    case 'POST secrets':
      await meet('CreateSecret');
      return secretJson(
        store.createSecret(
          parent,
          query.get('secretId')!,
          patchOf(body, ['labels', 'annotations', 'topics', 'rotation']),
        ),
      );
    case 'GET secrets': {
      await meet('ListSecrets');
      const paged = pageOf(store.listSecrets(parent, filter), page);
      return {
        secrets: paged.page.map(secretJson),
        ...(paged.nextPageToken && { nextPageToken: paged.nextPageToken }),
      };
    }
    case 'GET secret':
      await meet('GetSecret');
      return secretJson(store.getSecret(name));
    case 'PATCH secret':
      await meet('UpdateSecret');
      return secretJson(store.updateSecret(name, patchOf(body, maskOf(query.get('updateMask') ?? ''))));
    case 'DELETE secret':
      await meet('DeleteSecret');
      store.deleteSecret(name);
      return {};
    case 'POST secret:addVersion': {
      await meet('AddSecretVersion');
      const { data = '', dataCrc32c } = body.payload ?? {};
      return versionJson(
        store.addVersion(
          name,
          Buffer.from(data, 'base64url'),
          dataCrc32c === undefined ? undefined : Number(dataCrc32c),
        ),
      );
    }
    case 'GET versions': {
      await meet('ListSecretVersions');
      const { secret, versions } = store.listVersions(parent, filter);
      const paged = pageOf(versions, page);
      return {
        versions: paged.page.map((version) => versionJson({ secret, version })),
        ...(paged.nextPageToken && { nextPageToken: paged.nextPageToken }),
      };
    }
    case 'GET version':
      await meet('GetSecretVersion');
      return versionJson(store.getVersion(name));
    case 'GET version:access': {
      const damage = await meet('AccessSecretVersion');
      const { secret, version } = store.accessVersion(name);
      const { data, checksum } = damagedPayload(version.data, damage);
      return {
        name: versionName(secret, version),
        payload: { data: data.toString('base64'), dataCrc32c: String(checksum) },
      };
    }
    case 'POST version:disable':
      await meet('DisableSecretVersion');
      return versionJson(store.setState(name, 'DISABLED'));
    case 'POST version:enable':
      await meet('EnableSecretVersion');
      return versionJson(store.setState(name, 'ENABLED'));
    case 'POST version:destroy':
      await meet('DestroySecretVersion');
      return versionJson(store.setState(name, 'DESTROYED'));
    default:
      throw new StatusError('UNIMPLEMENTED', `no such method: ${route}`);
  }
}

/** `topics,rotation.next_rotation_time` names two fields, of which the second is part of one. */
function maskOf(mask: string): string[] {
  return mask.split(',').map((path) => path.split('.')[0]!.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase()));
}

function patchOf(body: Json, fields: readonly string[]): SecretPatch {
  const values: Json = {
    labels: body.labels ?? {},
    annotations: body.annotations ?? {},
    topics: (body.topics ?? []).map(({ name }: Json) => name),
    versionAliases: Object.fromEntries(
      Object.entries(body.versionAliases ?? {}).map(([alias, number]) => [alias, Number(number)]),
    ),
    rotation: body.rotation,
  };
  return Object.fromEntries(fields.filter((field) => field in values).map((field) => [field, values[field]]));
}

/** A secret as REST shows it, and as a notification carries it. */
export function secretJson(secret: Secret): Json {
  const { name, labels, annotations, topics, versionAliases, createTime, rotation } = secret;
  return {
    name,
    replication: { automatic: {} },
    createTime: createTime.toISOString(),
    etag: secretEtag(secret),
    ...(Object.keys(labels).length > 0 && { labels }),
    ...(Object.keys(annotations).length > 0 && { annotations }),
    ...(topics.length > 0 && { topics: topics.map((topic) => ({ name: topic })) }),
    ...(rotation && { rotation }),
    ...(Object.keys(versionAliases).length > 0 && {
      versionAliases: Object.fromEntries(
        Object.entries(versionAliases).map(([alias, number]) => [alias, String(number)]),
      ),
    }),
  };
}

export function versionJson({ secret, version }: { secret: Secret; version: SecretVersion }): Json {
  const { number, state, createTime, destroyTime } = version;
  return {
    name: versionName(secret, version),
    createTime: createTime.toISOString(),
    state,
    etag: etagOf([number, state]),
    clientSpecifiedPayloadChecksum: true,
    ...(destroyTime && { destroyTime: destroyTime.toISOString() }),
  };
}
