import { relative, resolve } from 'node:path';
import { DaemonError } from '../model/errors.ts';
import type { ReadDuration } from './durations.ts';
import { type Endpoint, endpoint } from './gcp-options.ts';

export type Role = 'viewer' | 'admin';

/** A file with one token a line, each of them valid. */
export interface TokenOptions {
  /** Absolute. */
  readonly file: string;
  readonly role: Role;
  /** Shown wherever its bearer has done something. */
  readonly name: string;
}

/** How operators reach the daemon. */
export interface AdminOptions {
  /** A name in the runtime folder, or an absolute path. */
  readonly socket: string;
  /** Where metrics and probes are answered without a token. */
  readonly metrics?: Endpoint;
  readonly http?: { readonly listen: Endpoint; readonly tokens: readonly TokenOptions[] };
  /** Reloads that the bearer of a token may ask for in a time. */
  readonly rateLimit: { readonly reloads: number; readonly perMs: number };
}

/** Whom to tell what is wrong. */
export interface AlertOptions {
  readonly webhook?: {
    readonly url: string;
    readonly headers: Readonly<Record<string, string>>;
    /** Signs what is sent; `undefined`: `<stateDir>/alert.key`. */
    readonly keyFile?: string;
  };
  readonly command?: readonly string[];
}

// biome-ignore lint/suspicious/noExplicitAny: a checked document
type Document = any;

/** Throws `options_unusable` for an address that others could reach, and for two tokens of one name. */
export function adminOptions(admin: Document = {}, folder: string, file: string, ms: ReadDuration): AdminOptions {
  const { socket = 'admin.sock', http, metrics, rateLimit = {} } = admin;
  return {
    socket,
    ...(http && { http: httpOptions(http, folder, file) }),
    ...(metrics && { metrics: metricsOptions(metrics, http, file) }),
    rateLimit: {
      reloads: rateLimit.reloads ?? 1,
      perMs: ms('admin.rateLimit.per', rateLimit.per ?? '1m', { least: '1s', most: '24h' }),
    },
  };
}

/**
 * Programs of other users must not be let into the folder that the operator's socket lies in, nor into one above it: pods
 * mount that one whole. Throws `options_unusable`.
 */
export function requireOwnFolder({ admin = {}, views = {} }: Document, runtimeDir: string, subject: string): void {
  const shared = Object.entries<Document>(views).find(
    ([, { mode = '0660', group, allow }]) =>
      group !== undefined || allow !== undefined || (Number.parseInt(mode, 8) & 0o007) !== 0,
  );
  const isApart = relative(runtimeDir, resolve(runtimeDir, admin.socket ?? 'admin.sock')).startsWith('../');
  if (!shared || isApart) return;
  const what = `views.${shared[0]} lets programs of other users into the folder of the operator's socket`;
  const mend = 'set admin.socket to an absolute path in a folder of its own, such as /run/hotconf-admin/admin.sock';
  throw new DaemonError('options_unusable', what, { subject, path: 'admin.socket', mend });
}

export function alertOptions({ webhook, command }: Document = {}, folder: string, file: string): AlertOptions {
  return {
    ...(webhook && { webhook: webhookOptions(webhook, folder, file) }),
    ...(command && { command }),
  };
}

function httpOptions({ listen, tokens }: Document, folder: string, file: string): AdminOptions['http'] {
  const refuse = (what: string, mend: string) =>
    new DaemonError('options_unusable', what, { subject: file, path: 'admin.http', mend });
  const address = endpoint(listen);
  if (!address.isLoopback)
    throw refuse(`${address.host} can be reached from elsewhere`, 'listen on 127.0.0.1, [::1] or localhost');
  if (address.port > 65_535) throw refuse(`there is no port ${address.port}`, 'choose one up to 65535');
  const names = tokens.map(({ name }: Document) => name);
  const twice = names.find((name: string, i: number) => names.indexOf(name) < i);
  if (twice) throw refuse(`two tokens are named ${twice}`, 'the audit log could not tell who it was; name them apart');
  return {
    listen: address,
    tokens: tokens.map((token: Document) => ({ ...token, file: resolve(folder, token.file) })),
  };
}

/** Tokens never go over an address that others reach, so that it cannot be the operators' own. */
function metricsOptions({ listen }: Document, http: Document | undefined, subject: string): Endpoint {
  const path = 'admin.metrics.listen';
  const address = endpoint(listen);
  if (address.port > 65_535)
    throw new DaemonError('options_unusable', `there is no port ${address.port}`, {
      subject,
      path,
      mend: 'choose one up to 65535',
    });
  if (!http || endpoint(http.listen).port !== address.port || address.port === 0) return address;
  const what = `port ${address.port} is where operators show their tokens (admin.http.listen)`;
  throw new DaemonError('options_unusable', what, { subject, path, mend: 'choose another port' });
}

function webhookOptions(
  { url, headers = {}, keyFile }: Document,
  folder: string,
  file: string,
): AlertOptions['webhook'] {
  const refuse = (path: string, what: string, mend: string) =>
    new DaemonError('options_unusable', what, { subject: file, path: `alerts.webhook.${path}`, mend });
  const parsed = URL.parse(url);
  if (!parsed || !/^https?:$/.test(parsed.protocol))
    throw refuse('url', 'is no http or https URL', 'write it like https://alerts.example/hook');
  if (parsed.username || parsed.password)
    throw refuse('url', 'holds a name or a password', 'put them into headers: { authorization: ... }');
  for (const [name, value] of Object.entries<string>(headers))
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name) || !/^[\t\x20-\x7e\x80-\xff]*$/.test(value))
      throw refuse(`headers.${name}`, 'is no header', 'names have no spaces, and values no line breaks');
  return { url, headers, ...(keyFile && { keyFile: resolve(folder, keyFile) }) };
}
