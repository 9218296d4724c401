import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GoogleAuth } from 'google-gax';
import { DaemonError, systemCode } from '../../model/errors.ts';

const scope = 'https://www.googleapis.com/auth/cloud-platform';
/** The metadata server, or whoever gives out tokens, answers within milliseconds or is not there. */
const answersWithinMs = 5_000;

const kinds = new Set([
  'service_account',
  'authorized_user',
  'external_account',
  'external_account_authorized_user',
  'impersonated_service_account',
  'gdch_service_account',
]);

/** A file of credentials, and what made us look there. */
interface KeyFile {
  readonly path: string;
  readonly namedBy: 'GOOGLE_APPLICATION_CREDENTIALS' | 'gcloud';
}

/**
 * Google's Application Default Credentials, proved before any client is made of them: a client that finds none fails where
 * nobody can catch it (googleapis/google-cloud-node#9085), and with the words of a parser, which quote the key file.
 */
export class GoogleCredentials {
  readonly #env: NodeJS.ProcessEnv;
  readonly #answersWithinMs: number;
  #ready: Promise<GoogleAuth> | undefined;

  constructor({ env = process.env, withinMs = answersWithinMs } = {}) {
    this.#env = env;
    this.#answersWithinMs = withinMs;
  }

  /** Credentials that are at hand and give headers for a request. Throws `google_credentials`, naming the file. */
  ready(): Promise<GoogleAuth> {
    this.#ready ??= this.#prove().catch((error) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  /** They were not accepted: the next call looks at them anew. */
  forget(): void {
    this.#ready = undefined;
  }

  /** Google does not accept them. */
  refused(subject: string): DaemonError {
    const file = keyFileOf(this.#env);
    const whose = file ? `those of ${file.path}` : "the machine's own";
    return problem(subject, `Google does not accept the credentials: ${whose}`, adviceFor(file));
  }

  async #prove(): Promise<GoogleAuth> {
    const file = keyFileOf(this.#env);
    if (file) checkKeyFile(file);
    const auth = new GoogleAuth({ scopes: scope });
    // As Google's own clients set it: a service account then signs for itself and asks nobody.
    Object.assign(auth, { useJWTAccessWithScope: true, defaultScopes: [scope] });
    try {
      await inTime(prove(auth), this.#answersWithinMs);
      return auth;
    } catch (error) {
      throw explain(error, file);
    }
  }
}

/** All that a client does later without anybody to catch what it throws. */
async function prove(auth: GoogleAuth): Promise<void> {
  const client = await auth.getClient();
  await auth.getUniverseDomain();
  await client.getRequestHeaders();
}

class TooLate extends Error {}

async function inTime(proving: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TooLate()), ms);
  });
  // What comes after that time is nobody's any more, and must not end the process.
  proving.catch(() => {});
  try {
    await Promise.race([proving, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Where the library looks first: the file that is named, or else the one of `gcloud auth application-default login`. */
function keyFileOf(env: NodeJS.ProcessEnv): KeyFile | undefined {
  const named = env.GOOGLE_APPLICATION_CREDENTIALS || env.google_application_credentials;
  if (named) return { path: named, namedBy: 'GOOGLE_APPLICATION_CREDENTIALS' };
  const folder = env.CLOUDSDK_CONFIG || (env.HOME && join(env.HOME, '.config/gcloud'));
  if (!folder) return undefined;
  const path = join(folder, 'application_default_credentials.json');
  return isThere(path) ? { path, namedBy: 'gcloud' } : undefined;
}

function isThere(path: string): boolean {
  try {
    readFileSync(path);
    return true;
  } catch (error) {
    // One that is there and may not be read is told; so is not what Node's permission model hides.
    return systemCode(error) === 'EACCES';
  }
}

/** Throws `google_credentials` for a file that the library could not use. Nothing of its content is told. */
function checkKeyFile(file: KeyFile): void {
  const { path } = file;
  const content = parse(readKeyFile(file), file);
  const { type, client_email: email, private_key: key } = content as Record<string, unknown>;
  if (typeof type !== 'string' || !kinds.has(type)) {
    const what = `is no credentials file of Google: its \`type\` is none of ${[...kinds].join(', ')}`;
    throw problem(path, what, adviceFor(file));
  }
  if (type !== 'service_account') return;
  if (typeof email !== 'string' || typeof key !== 'string')
    throw problem(path, 'has no client_email or no private_key', 'create the key again and put it there whole');
  if (!isPrivateKey(key)) throw problem(path, 'its private_key is no key in PEM form', 'put the file there as it came');
}

function readKeyFile(file: KeyFile): string {
  try {
    return readFileSync(file.path, 'utf8');
  } catch (error) {
    const code = systemCode(error) ?? 'unknown error';
    const { path } = file;
    if (code === 'ENOENT')
      throw problem(path, `is missing, and ${file.namedBy} names it`, 'put the file there, or name another one');
    const uid = process.getuid?.() ?? 0;
    const mend =
      code === 'ERR_ACCESS_DENIED'
        ? `start Node with --allow-fs-read=${path}`
        : `chown ${uid} ${path} && chmod 0400 ${path}`;
    throw problem(path, `cannot be read: ${code}`, mend, code);
  }
}

function parse(text: string, file: KeyFile): object {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    // The parser's own words quote the file.
    throw problem(file.path, 'is not valid JSON', adviceFor(file));
  }
  if (typeof content === 'object' && content !== null) return content;
  throw problem(file.path, 'is no JSON object', adviceFor(file));
}

function isPrivateKey(pem: string): boolean {
  try {
    createPrivateKey(pem);
    return true;
  } catch {
    return false;
  }
}

/** What the library threw, by what it is and never by its words. */
function explain(error: unknown, file: KeyFile | undefined): DaemonError {
  const code = systemCode(error);
  if (error instanceof TooLate) {
    const who = file ? `whoever gives out tokens for ${file.path}` : 'the metadata server';
    return problem(file?.path, `${who} does not answer`, 'see the network of this machine', 'TIMEOUT');
  }
  if (!file && (code === undefined || !/^E[A-Z]+$/.test(code))) return none();
  const status = (error as { status?: unknown }).status;
  const how = typeof status === 'number' ? `HTTP ${status}` : (code ?? 'unknown error');
  const what = file ? 'no token can be got with it' : 'no token can be got from the metadata server';
  return problem(file?.path, `${what}: ${how}`, adviceFor(file), code);
}

function none(): DaemonError {
  return problem(
    undefined,
    'there are no Google credentials: GOOGLE_APPLICATION_CREDENTIALS names no file, gcloud has left none, and no metadata server answers',
    adviceFor(undefined),
  );
}

function adviceFor(file: KeyFile | undefined): string {
  return file?.namedBy === 'GOOGLE_APPLICATION_CREDENTIALS'
    ? 'create the key again (gcloud iam service-accounts keys create), or unset GOOGLE_APPLICATION_CREDENTIALS'
    : 'run `gcloud auth application-default login`, set GOOGLE_APPLICATION_CREDENTIALS, or give the machine or pod a service account';
}

function problem(subject: string | undefined, what: string, mend: string, code?: string): DaemonError {
  return new DaemonError('google_credentials', what, {
    ...(subject && { subject }),
    mend,
    ...(code && { systemCode: code }),
  });
}
