import { formatPath, type Path } from '../../schemas/paths.ts';
import { DaemonError } from '../model/errors.ts';
import type { Format } from '../model/format.ts';
import type { ReadDuration } from './durations.ts';

/** Which version of a secret is served. An alias is one that Secret Manager keeps for the secret. */
export type VersionChoice =
  | { readonly kind: 'newest-enabled' }
  | { readonly kind: 'latest' }
  | { readonly kind: 'number'; readonly number: number }
  | { readonly kind: 'alias'; readonly alias: string };

/** One secret and where it stands in the settings. */
export interface SecretOptions {
  readonly secret: string;
  /** A region for a regional secret, such as `europe-west1`; without it the secret is a global one. */
  readonly location?: string;
  readonly at: Path;
  readonly version: VersionChoice;
  readonly format: Format;
}

export interface NotificationOptions {
  /** `projects/P/topics/T`. */
  readonly topic: string;
  /** `projects/P/subscriptions/S`, or `auto` for one that this daemon makes and deletes. */
  readonly subscription: string;
  /** A subscription made by the daemon stays when it stops. */
  readonly keep: boolean;
}

/** `host:port`; a loopback host is spoken to in plain text and without credentials. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly isLoopback: boolean;
}

export interface GcpOptions {
  readonly project: string;
  readonly secrets: readonly SecretOptions[];
  readonly discover?: { readonly filter: string; readonly at: Path; readonly location?: string };
  readonly notifications?: NotificationOptions;
  readonly resyncMs: number;
  /** Run when Secret Manager says that a rotation is due. */
  readonly onRotate?: { readonly command: readonly string[] };
  readonly endpoints: { readonly secretManager?: Endpoint; readonly pubsub?: Endpoint };
}

// The document has passed options.schema.json.
// biome-ignore lint/suspicious/noExplicitAny: a checked document
type Document = any;

/** `sources.gcp` with every default filled in. Throws `options_unusable`. */
export function gcpOptions(
  gcp: Document,
  subject: string,
  toPath: (text: string) => Path,
  ms: ReadDuration,
): GcpOptions {
  const refuse = (path: string, what: string, mend: string) =>
    new DaemonError('options_unusable', what, { subject, path: `sources.gcp.${path}`, mend });
  if (!gcp.secrets?.length && !gcp.discover)
    throw refuse('secrets', 'no secret is named', 'list the secrets, or find them by label with `discover`');
  const secrets: SecretOptions[] = (gcp.secrets ?? []).map((entry: Document) => ({
    secret: entry.secret,
    ...(entry.location && { location: entry.location }),
    at: toPath(entry.at),
    version: versionChoice(entry.version ?? 'newest-enabled'),
    format: entry.format ?? 'text',
  }));
  const twice = secrets.find(({ at }, i) => secrets.findIndex((other) => formatPath(other.at) === formatPath(at)) < i);
  if (twice) {
    const names = secrets
      .filter(({ at }) => formatPath(at) === formatPath(twice.at))
      .map(({ secret }) => `'${secret}'`);
    throw refuse(
      'secrets',
      `${names.join(' and ')} are both mounted at ${formatPath(twice.at)}`,
      'give each secret a path of its own',
    );
  }
  const { discover, notifications, onRotate, endpoints = {} } = gcp;
  return {
    project: gcp.project,
    secrets,
    ...(discover && { discover: { ...discover, at: toPath(discover.at) } }),
    ...(notifications && { notifications: notificationOptions(gcp.project, notifications) }),
    resyncMs: ms('sources.gcp.resync', gcp.resync ?? '10m', { least: '1s', most: '168h' }),
    ...(onRotate && { onRotate }),
    endpoints: {
      ...(endpoints.secretManager && { secretManager: endpoint(endpoints.secretManager) }),
      ...(endpoints.pubsub && { pubsub: endpoint(endpoints.pubsub) }),
    },
  };
}

function versionChoice(value: string | number): VersionChoice {
  if (value === 'newest-enabled' || value === 'latest') return { kind: value };
  return /^\d+$/.test(String(value))
    ? { kind: 'number', number: Number(value) }
    : { kind: 'alias', alias: String(value) };
}

function notificationOptions(
  project: string,
  { topic, subscription = 'auto', keep = false }: Document,
): NotificationOptions {
  const full = (kind: string, name: string) => (name.includes('/') ? name : `projects/${project}/${kind}/${name}`);
  return {
    topic: full('topics', topic),
    subscription: subscription === 'auto' ? 'auto' : full('subscriptions', subscription),
    keep,
  };
}

/** `host:port`; the host of IPv6 in brackets. */
export function endpoint(text: string): Endpoint {
  const [, host = '', port] = /^(.*):(\d+)$/.exec(text) ?? [];
  const bare = host.replace(/^\[(.*)\]$/, '$1');
  return { host: bare, port: Number(port), isLoopback: /^(localhost|127(\.\d+){3}|::1)$/.test(bare) };
}
