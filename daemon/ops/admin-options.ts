import { resolve } from 'node:path';
import { DaemonError } from '../model/errors.ts';
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
  /** A name in the runtime folder. */
  readonly socket: string;
  readonly http?: { readonly listen: Endpoint; readonly tokens: readonly TokenOptions[] };
  /** Reloads that operators may ask for in a time. */
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
export function adminOptions(
  admin: Document = {},
  folder: string,
  file: string,
  ms: (text: string) => number,
): AdminOptions {
  const { socket = 'admin.sock', http, rateLimit = {} } = admin;
  return {
    socket,
    ...(http && { http: httpOptions(http, folder, file) }),
    rateLimit: { reloads: rateLimit.reloads ?? 1, perMs: ms(rateLimit.per ?? '1m') },
  };
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

function webhookOptions(
  { url, headers = {}, keyFile }: Document,
  folder: string,
  file: string,
): AlertOptions['webhook'] {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new DaemonError('options_unusable', 'is no http or https URL', {
      subject: file,
      path: 'alerts.webhook.url',
      mend: 'write it like https://alerts.example/hook',
    });
  return { url, headers, ...(keyFile && { keyFile: resolve(folder, keyFile) }) };
}
