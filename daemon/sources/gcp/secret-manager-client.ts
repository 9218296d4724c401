import { SecretManagerServiceClient } from '@google-cloud/secret-manager';
import CRC32C from 'crc-32/crc32c.js';
import { grpc } from 'google-gax';
import { DaemonError } from '../../model/errors.ts';
import type { Endpoint } from '../../ops/gcp-options.ts';
import { GoogleCredentials } from './google-credentials.ts';
import { explainGoogle, type GrpcStatus, statusOf, type Told } from './google-errors.ts';
import {
  parentName,
  parseSecretName,
  type SecretManager,
  type SecretPayload,
  type SecretRef,
  secretName,
} from './secret-manager.ts';

export interface SecretManagerClientParts {
  readonly project: string;
  readonly endpoint?: Endpoint;
  /** Proved before the first call; a loopback endpoint asks for none. */
  readonly credentials?: GoogleCredentials;
}

type Call<T> = Promise<T> & { cancel?: () => void };

/** One attempt; a slow answer is worth less than another attempt on a new connection. */
const callTimeoutMs = 5_000;
const attempt = { retry: null, timeout: callTimeoutMs } as const;
/** Finds a connection that the other end has forgotten. Google's front ends allow a ping every 30 s. */
const keepalive = {
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.max_reconnect_backoff_ms': 5_000,
};

/** Secret Manager by Google's own client. The only home of that package. */
export class SecretManagerClient implements SecretManager {
  readonly #parts: SecretManagerClientParts;
  readonly #credentials: GoogleCredentials;
  readonly #clients = new Map<string, SecretManagerServiceClient>();

  constructor(parts: SecretManagerClientParts) {
    this.#parts = parts;
    this.#credentials = parts.credentials ?? new GoogleCredentials({ project: parts.project });
    // Google's library looks for a metadata server before the first call, which costs seconds where there is none.
    if (parts.endpoint?.isLoopback) process.env.METADATA_SERVER_DETECTION = 'none';
  }

  async access(secret: SecretRef, version: number | string, signal: AbortSignal): Promise<SecretPayload> {
    const name = `${secretName(secret)}/versions/${version}`;
    const [answer] = await this.#call(secret, name, reading, signal, (client) =>
      client.accessSecretVersion({ name }, attempt),
    );
    const bytes = Buffer.from((answer.payload?.data as Uint8Array | undefined) ?? []);
    const read = parseSecretName(answer.name ?? '');
    const { dataCrc32c } = answer.payload ?? {};
    const isWhole = dataCrc32c === null || dataCrc32c === undefined || Number(dataCrc32c) === crc32c(bytes);
    const isAsked = read?.id === secret.id && (typeof version === 'string' || read.version === version);
    if (!isWhole || !isAsked || read.version === undefined) {
      const what = isAsked ? 'what arrived does not match its checksum' : 'the answer is about another version';
      throw new DaemonError('secret_corrupt', what, { subject: name, mend: 'a running daemon retries by itself' });
    }
    return { version: read.version, project: read.project, bytes };
  }

  async newestEnabled(secret: SecretRef, signal: AbortSignal): Promise<number | undefined> {
    const parent = secretName(secret);
    const list = async (request: object, autoPaginate: boolean) => {
      const [versions] = await this.#call(secret, parent, listing, signal, (client) =>
        client.listSecretVersions({ parent, ...request }, { ...attempt, autoPaginate }),
      );
      return versions;
    };
    const first = await list({ filter: 'state:ENABLED', pageSize: 1 }, false);
    // A server that is not quite Google may not know filters: then all are looked at.
    const isFiltered = first.length <= 1 && first.every(isEnabled);
    const versions = isFiltered ? first : await list({}, true);
    const numbers = versions.filter(isEnabled).map(({ name }) => parseSecretName(name ?? '')?.version ?? 0);
    return Math.max(0, ...numbers) || undefined;
  }

  async find(filter: string, location: string | undefined, signal: AbortSignal): Promise<readonly SecretRef[]> {
    const { project } = this.#parts;
    const parent = parentName(project, location);
    const where = { project, ...(location && { location }), id: '' };
    const [secrets] = await this.#call(where, `${parent} (${filter})`, finding, signal, (client) =>
      client.listSecrets({ parent, filter }, attempt),
    );
    const wanted = wantedLabels(filter);
    return secrets.flatMap(({ name, labels }) => {
      const found = parseSecretName(name ?? '');
      // Nor is a filter believed that can be checked: what does not fit is somebody else's secret.
      const fits = wanted.every(([label, value]) => labels?.[label] === value);
      return found && fits ? [{ ...where, id: found.id }] : [];
    });
  }

  async add(secret: SecretRef, bytes: Uint8Array, signal: AbortSignal): Promise<number> {
    const parent = secretName(secret);
    const payload = { data: bytes, dataCrc32c: crc32c(bytes) };
    const [version] = await this.#call(secret, parent, adding, signal, (client) =>
      client.addSecretVersion({ parent, payload }, attempt),
    );
    return parseSecretName(version.name ?? '')!.version!;
  }

  async disable(secret: SecretRef, version: number, signal: AbortSignal): Promise<void> {
    const name = `${secretName(secret)}/versions/${version}`;
    await this.#call(secret, name, disabling, signal, (client) => client.disableSecretVersion({ name }, attempt));
  }

  /** Which of these permissions the account has on a secret; `undefined` where that cannot be asked, as of an emulator. */
  async granted(secret: SecretRef, permissions: string[], signal: AbortSignal): Promise<readonly string[] | undefined> {
    const resource = secretName(secret);
    const asked = this.#call(secret, resource, {}, signal, (client) =>
      client.testIamPermissions({ resource, permissions }, attempt),
    );
    return asked.then(
      ([{ permissions: granted }]) => granted ?? [],
      () => undefined,
    );
  }

  async close(): Promise<void> {
    const clients = [...this.#clients.values()];
    this.#clients.clear();
    await Promise.all(clients.map((client) => client.close().catch(() => {})));
  }

  async #call<T>(
    { location = '' }: SecretRef,
    subject: string,
    told: Partial<Record<GrpcStatus, Told>>,
    signal: AbortSignal,
    act: (client: SecretManagerServiceClient) => Call<T>,
  ): Promise<T> {
    if (signal.aborted) throw new DaemonError('shutting_down', 'the call was taken back', { subject });
    const client = await this.#clientOf(location);
    const call = act(client);
    const cancel = () => call.cancel?.();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      return await call;
    } catch (error) {
      if (statusOf(error) === 'UNAUTHENTICATED') throw this.#refused(subject);
      const told_ = explainGoogle(error, subject, told, 'secret_unavailable');
      // What did not answer in time may sit on a dead connection: the next call gets a new one.
      if (told_.facts.systemCode === 'DEADLINE_EXCEEDED') this.#forget(location, client);
      throw told_;
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }

  async #clientOf(location: string): Promise<SecretManagerServiceClient> {
    const auth = this.#parts.endpoint?.isLoopback ? undefined : await this.#credentials.ready();
    let client = this.#clients.get(location);
    if (!client) {
      client = new SecretManagerServiceClient({
        ...this.#address(location),
        ...keepalive,
        ...(auth && { auth }),
        projectId: this.#parts.project,
      });
      this.#clients.set(location, client);
    }
    return client;
  }

  /** Clients keep the credentials that they were made with: the next call makes new ones of what is there then. */
  #refused(subject: string): DaemonError {
    this.#credentials.forget();
    for (const [location, client] of this.#clients) this.#forget(location, client);
    return this.#credentials.refused(subject);
  }

  /** Calls that are under way on it end first. */
  #forget(location: string, client: SecretManagerServiceClient): void {
    if (this.#clients.get(location) !== client) return;
    this.#clients.delete(location);
    client.close().catch(() => {});
  }

  #address(location: string) {
    const { endpoint } = this.#parts;
    if (endpoint?.isLoopback)
      return { apiEndpoint: endpoint.host, port: endpoint.port, sslCreds: grpc.credentials.createInsecure() };
    if (endpoint) return { apiEndpoint: endpoint.host, port: endpoint.port };
    return location ? { apiEndpoint: `secretmanager.${location}.rep.googleapis.com` } : {};
  }
}

function isEnabled({ state }: { readonly state?: unknown }): boolean {
  // As the client decodes it: by its name, or by its number in the protocol.
  return state === 'ENABLED' || state === 1;
}

/** The labels that a filter asks for where it asks for nothing else: `labels.app=billing AND labels.env=prod`. */
function wantedLabels(filter: string): readonly (readonly [string, string])[] {
  const terms = filter.trim().split(/\s+AND\s+/);
  const labels = terms.map((term) => /^labels\.([\w-]+)\s*=\s*"?([\w-]+)"?$/.exec(term));
  return labels.every((label) => label !== null) ? labels.map((label) => [label[1]!, label[2]!] as const) : [];
}

function crc32c(bytes: Uint8Array): number {
  return CRC32C.buf(bytes, 0) >>> 0;
}

const grant = (role: string) => `grant ${role} on it to the daemon's account; the project may be wrong, too`;
const forbidden = (what: string, role: string): Told => ({ code: 'secret_forbidden', what, mend: grant(role) });
const notFound: Told = {
  code: 'secret_not_found',
  what: 'there is no such secret, or no such version of it',
  mend: 'see `gcloud secrets list` and `gcloud secrets versions list`',
};
const refused: Told = {
  code: 'secret_refused',
  what: 'Secret Manager refuses this request',
  mend: 'check the names, the filter and the size',
};

const reading: Partial<Record<GrpcStatus, Told>> = {
  NOT_FOUND: notFound,
  PERMISSION_DENIED: forbidden('reading it is not permitted', 'roles/secretmanager.secretAccessor'),
  FAILED_PRECONDITION: {
    code: 'secret_disabled',
    what: 'the version is disabled or destroyed',
    mend: 'enable it, or add a version',
  },
  INVALID_ARGUMENT: refused,
};
const listing: Partial<Record<GrpcStatus, Told>> = {
  NOT_FOUND: notFound,
  PERMISSION_DENIED: forbidden('listing its versions is not permitted', 'roles/secretmanager.viewer'),
  INVALID_ARGUMENT: refused,
};
const finding: Partial<Record<GrpcStatus, Told>> = {
  NOT_FOUND: { ...notFound, what: 'there is no such project' },
  PERMISSION_DENIED: forbidden('listing secrets is not permitted', 'roles/secretmanager.viewer'),
  INVALID_ARGUMENT: refused,
};
const adding: Partial<Record<GrpcStatus, Told>> = {
  NOT_FOUND: notFound,
  PERMISSION_DENIED: forbidden('adding a version is not permitted', 'roles/secretmanager.secretVersionAdder'),
  INVALID_ARGUMENT: refused,
  FAILED_PRECONDITION: refused,
};
const disabling: Partial<Record<GrpcStatus, Told>> = {
  NOT_FOUND: notFound,
  PERMISSION_DENIED: forbidden('disabling a version is not permitted', 'roles/secretmanager.secretVersionManager'),
  FAILED_PRECONDITION: refused,
};
