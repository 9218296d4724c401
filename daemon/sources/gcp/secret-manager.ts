/** A secret of a project: global, or of one region. */
export interface SecretRef {
  readonly project: string;
  readonly location?: string;
  readonly id: string;
}

/** The content of one version, its checksum verified. */
export interface SecretPayload {
  readonly version: number;
  /** The project as the answer names it: by its number. */
  readonly project: string;
  readonly bytes: Buffer;
}

/**
 * What is asked of Secret Manager. Each call is one attempt with a deadline of its own; retrying is the caller's part.
 * Fails with `DaemonError`: `secret_unavailable` and `secret_corrupt` may pass by themselves, `secret_not_found`,
 * `secret_forbidden`, `secret_disabled`, `google_credentials` and `secret_refused` will not.
 */
export interface SecretManager {
  /** A version by number, by alias, or `latest`. Only reading by number is strongly consistent. */
  access(secret: SecretRef, version: number | string, signal: AbortSignal): Promise<SecretPayload>;
  /** The number of the newest version that is enabled; `undefined` when none is. */
  newestEnabled(secret: SecretRef, signal: AbortSignal): Promise<number | undefined>;
  /** The secrets that a filter fits. */
  find(filter: string, location: string | undefined, signal: AbortSignal): Promise<readonly SecretRef[]>;
  /** Adds a version and returns its number. */
  add(secret: SecretRef, bytes: Uint8Array, signal: AbortSignal): Promise<number>;
  disable(secret: SecretRef, version: number, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** `projects/P/secrets/S` or `projects/P/locations/L/secrets/S`. */
export function secretName({ project, location, id }: SecretRef): string {
  return `${parentName(project, location)}/secrets/${id}`;
}

export function parentName(project: string, location: string | undefined): string {
  return `projects/${project}${location ? `/locations/${location}` : ''}`;
}

const namePattern = /^projects\/([^/]+)(?:\/locations\/([^/]+))?\/secrets\/([^/]+)(?:\/versions\/(\d+))?$/;

/** The parts of a secret's or version's full name; `undefined` for anything else. */
export function parseSecretName(name: string): (SecretRef & { readonly version?: number }) | undefined {
  const [, project, location, id, version] = namePattern.exec(name) ?? [];
  if (!project || !id) return undefined;
  return { project, id, ...(location && { location }), ...(version && { version: Number(version) }) };
}
