import { createHash } from 'node:crypto';
import { EventEmitter } from 'node:events';
import CRC32C from 'crc-32/crc32c.js';
import { Faults } from './faults.ts';
import { matches } from './filter.ts';
import { StatusError } from './status.ts';

export type VersionState = 'ENABLED' | 'DISABLED' | 'DESTROYED';

export interface SecretVersion {
  readonly number: number;
  state: VersionState;
  data: Buffer;
  readonly createTime: Date;
  destroyTime?: Date;
}

export interface Secret {
  /** With the project's number, as every answer names it. */
  readonly name: string;
  readonly id: string;
  readonly createTime: Date;
  readonly versions: SecretVersion[];
  labels: Record<string, string>;
  annotations: Record<string, string>;
  topics: string[];
  versionAliases: Record<string, number>;
  rotation?: { nextRotationTime?: string; rotationPeriod?: string };
}

export type SecretPatch = Partial<
  Pick<Secret, 'labels' | 'annotations' | 'topics' | 'versionAliases'> & { rotation: Secret['rotation'] | undefined }
>;

/** What Secret Manager would publish. */
export interface StoreEvent {
  readonly type: string;
  readonly secret: Secret;
  readonly version?: SecretVersion;
}

/** crc32c of bytes, unsigned. */
export function crc32c(bytes: Uint8Array): number {
  return CRC32C.buf(bytes, 0) >>> 0;
}

const maxPayload = 64 * 1024;
const namePattern = /^projects\/([^/]+)(?:\/locations\/([^/]+))?(?:\/secrets\/([^/]+)(?:\/versions\/([^/]+))?)?$/;

/**
 * What Secret Manager does, behind its gRPC and its REST face: secrets, versions and their states, aliases, checksums.
 * Throws {@link StatusError} with the words of the real one.
 */
export class SecretStore extends EventEmitter<{ event: [StoreEvent] }> {
  /** How servers that are not quite Google differ from it. */
  readonly quirks = { ignoresFilter: false, ignoresPageSize: false };
  readonly faults = new Faults();
  readonly #projects: ReadonlyMap<string, string>;
  readonly #secrets = new Map<string, Secret>();
  readonly #frozen = new Map<string, number>();

  /** Projects by id, with their numbers. */
  constructor(projects: Readonly<Record<string, string>>) {
    super();
    this.#projects = new Map(Object.entries(projects));
  }

  createSecret(parent: string, id: string, given: SecretPatch = {}): Secret {
    if (!/^[A-Za-z0-9_-]{1,255}$/.test(id))
      throw new StatusError('INVALID_ARGUMENT', 'The provided Secret ID is invalid.');
    const name = `${this.#canonical(parent)}/secrets/${id}`;
    if (this.#secrets.has(name)) throw new StatusError('ALREADY_EXISTS', `Secret [${name}] already exists.`);
    const empty = { labels: {}, annotations: {}, topics: [], versionAliases: {} };
    const secret: Secret = { name, id, createTime: new Date(), versions: [], ...empty, ...given };
    this.#secrets.set(name, secret);
    if (secret.topics.length > 0) this.#tell('TOPIC_CONFIGURED', secret);
    this.#tell('SECRET_CREATE', secret);
    return secret;
  }

  getSecret(name: string): Secret {
    const canonical = this.#canonical(name);
    const secret = this.#secrets.get(canonical);
    if (!secret) throw new StatusError('NOT_FOUND', `Secret [${canonical}] not found.`);
    return secret;
  }

  listSecrets(parent: string, asked = ''): Secret[] {
    const filter = this.quirks.ignoresFilter ? '' : asked;
    const prefix = `${this.#canonical(parent)}/secrets/`;
    // A filter that makes no sense is refused where there is nothing to filter, too.
    matches(filter, () => undefined);
    const own = [...this.#secrets.values()].filter(({ name }) => name.startsWith(prefix));
    return own.filter((secret) => matches(filter, (field) => fieldOf(secret, field))).reverse();
  }

  /** Sets the fields that are given; a field that is given as `undefined` is cleared. */
  updateSecret(name: string, patch: SecretPatch): Secret {
    const secret = this.getSecret(name);
    for (const [alias, number] of Object.entries(patch.versionAliases ?? {})) {
      if (!secret.versions.some((version) => version.number === Number(number)))
        throw new StatusError('INVALID_ARGUMENT', `Alias [${alias}] names a version that does not exist.`);
    }
    Object.assign(secret, patch);
    if (patch.topics?.length) this.#tell('TOPIC_CONFIGURED', secret);
    this.#tell('SECRET_UPDATE', secret);
    return secret;
  }

  deleteSecret(name: string): void {
    const secret = this.getSecret(name);
    this.#secrets.delete(secret.name);
    this.#tell('SECRET_DELETE', secret);
  }

  /** Says that the rotation of a secret is due, as Secret Manager does by its rotation schedule. */
  rotationDue(name: string): void {
    this.#tell('SECRET_ROTATE', this.getSecret(name));
  }

  addVersion(name: string, data: Buffer, dataCrc32c?: number): { secret: Secret; version: SecretVersion } {
    const secret = this.getSecret(name);
    if (data.length > maxPayload) throw new StatusError('INVALID_ARGUMENT', 'The payload is larger than 65536 bytes.');
    if (dataCrc32c !== undefined && dataCrc32c !== crc32c(data))
      throw new StatusError('INVALID_ARGUMENT', 'The payload does not match its checksum.');
    const number = (secret.versions.at(-1)?.number ?? 0) + 1;
    const version: SecretVersion = { number, state: 'ENABLED', data, createTime: new Date() };
    secret.versions.push(version);
    this.#tell('SECRET_VERSION_ADD', secret, version);
    return { secret, version };
  }

  /** A version by number, alias or `latest`, which is the newest created one whatever its state. */
  getVersion(name: string): { secret: Secret; version: SecretVersion } {
    const [, parent, wanted] = /^(.*)\/versions\/([^/]+)$/.exec(name) ?? [];
    const canonical = this.#canonical(parent ?? name);
    const secret = this.#secrets.get(canonical);
    if (!secret || (wanted === 'latest' && secret.versions.length === 0))
      throw new StatusError('NOT_FOUND', `Secret [${canonical}] not found or has no versions.`);
    const number = this.#numberOf(secret, wanted!);
    const version = secret.versions.find((candidate) => candidate.number === number);
    if (!version) throw new StatusError('NOT_FOUND', `Secret Version [${canonical}/versions/${wanted}] not found.`);
    return { secret, version };
  }

  accessVersion(name: string): { secret: Secret; version: SecretVersion } {
    const found = this.getVersion(name);
    const { secret, version } = found;
    if (version.state === 'ENABLED') return found;
    throw new StatusError(
      'FAILED_PRECONDITION',
      `Secret Version [${versionName(secret, version)}] is in ${version.state} state.`,
    );
  }

  /** Newest first. */
  listVersions(parent: string, asked = ''): { secret: Secret; versions: SecretVersion[] } {
    const filter = this.quirks.ignoresFilter ? '' : asked;
    const secret = this.getSecret(parent);
    const versions = secret.versions.filter(({ state }) =>
      matches(filter, (field) => (field === 'state' ? state : undefined)),
    );
    return { secret, versions: versions.reverse() };
  }

  setState(name: string, state: VersionState): { secret: Secret; version: SecretVersion } {
    const found = this.getVersion(name);
    const { secret, version } = found;
    if (version.state === 'DESTROYED' && state !== 'DESTROYED')
      throw new StatusError(
        'FAILED_PRECONDITION',
        `Secret Version [${versionName(secret, version)}] is in DESTROYED state.`,
      );
    version.state = state;
    if (state === 'DESTROYED') {
      version.data = Buffer.alloc(0);
      version.destroyTime = new Date();
    }
    const verb = { ENABLED: 'ENABLE', DISABLED: 'DISABLE', DESTROYED: 'DESTROY' }[state];
    this.#tell(`SECRET_VERSION_${verb}`, secret, version);
    return found;
  }

  /** From now on `latest` and aliases stay what they are, as the real ones do for minutes; returns the end of it. */
  freezeLatest(name: string): () => void {
    const secret = this.getSecret(name);
    this.#frozen.set(secret.name, secret.versions.at(-1)?.number ?? 0);
    return () => this.#frozen.delete(secret.name);
  }

  #numberOf(secret: Secret, wanted: string): number {
    if (/^\d+$/.test(wanted)) return Number(wanted);
    if (wanted !== 'latest') return Number(secret.versionAliases[wanted] ?? 0);
    return this.#frozen.get(secret.name) ?? secret.versions.at(-1)!.number;
  }

  #canonical(name: string): string {
    const [, project, location, id] = namePattern.exec(name) ?? [];
    if (!project) throw new StatusError('INVALID_ARGUMENT', `The name [${name}] is invalid.`);
    const number = this.#projects.get(project) ?? [...this.#projects.values()].find((known) => known === project);
    if (!number) throw new StatusError('PERMISSION_DENIED', `Permission denied on resource project ${project}.`);
    return `projects/${number}${location ? `/locations/${location}` : ''}${id ? `/secrets/${id}` : ''}`;
  }

  #tell(type: string, secret: Secret, version?: SecretVersion): void {
    this.emit('event', { type, secret, ...(version && { version }) });
  }
}

export function versionName(secret: Secret, version: SecretVersion): string {
  return `${secret.name}/versions/${version.number}`;
}

export function etagOf(value: unknown): string {
  return `"${createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 14)}"`;
}

/** Another one after each change. */
export function secretEtag({ name, labels, annotations, topics, versionAliases, rotation }: Secret): string {
  return etagOf([name, labels, annotations, topics, versionAliases, rotation]);
}

function fieldOf(secret: Secret, field: string): string | undefined {
  if (field === 'name') return secret.id;
  const [, kind, key] = /^(labels|annotations)\.(.+)$/.exec(field) ?? [];
  return kind ? secret[kind as 'labels' | 'annotations'][key!] : undefined;
}
