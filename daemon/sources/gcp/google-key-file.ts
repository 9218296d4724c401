import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DaemonError, systemCode } from '../../model/errors.ts';
import { closeTo } from '../../ops/accounts.ts';

const kinds = new Set([
  'service_account',
  'authorized_user',
  'external_account',
  'external_account_authorized_user',
  'impersonated_service_account',
  'gdch_service_account',
]);

/** A file of credentials, and what made us look there. */
export interface KeyFile {
  readonly path: string;
  readonly namedBy: 'GOOGLE_APPLICATION_CREDENTIALS' | 'gcloud';
}

/** Where the library looks first: the file that is named, or else the one of `gcloud auth application-default login`. */
export function keyFileOf(env: NodeJS.ProcessEnv): KeyFile | undefined {
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
export function checkKeyFile(file: KeyFile): void {
  const { path } = file;
  const content = parse(readKeyFile(file), file);
  const { type, client_email: email, private_key: key } = content as Record<string, unknown>;
  if (typeof type !== 'string' || !kinds.has(type)) {
    const what = `is no credentials file of Google: its \`type\` is none of ${[...kinds].join(', ')}`;
    throw credentialsProblem(path, what, adviceFor(file));
  }
  if (type !== 'service_account') return;
  if (typeof email !== 'string' || typeof key !== 'string')
    throw credentialsProblem(
      path,
      'has no client_email or no private_key',
      'create the key again and put it there whole',
    );
  if (!isPrivateKey(key))
    throw credentialsProblem(path, 'its private_key is no key in PEM form', 'put the file there as it came');
}

function readKeyFile(file: KeyFile): string {
  try {
    return readFileSync(file.path, 'utf8');
  } catch (error) {
    const code = systemCode(error) ?? 'unknown error';
    const { path } = file;
    if (code === 'ENOENT')
      throw credentialsProblem(
        path,
        `is missing, and ${file.namedBy} names it`,
        'put the file there, or name another one',
      );
    const uid = process.getuid?.() ?? 0;
    const mend = code === 'ERR_ACCESS_DENIED' ? `start Node with --allow-fs-read=${path}` : closeTo(uid, path);
    throw credentialsProblem(path, `cannot be read: ${code}`, mend, code);
  }
}

function parse(text: string, file: KeyFile): object {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    // The parser's own words quote the file.
    throw credentialsProblem(file.path, 'is not valid JSON', adviceFor(file));
  }
  if (typeof content === 'object' && content !== null) return content;
  throw credentialsProblem(file.path, 'is no JSON object', adviceFor(file));
}

function isPrivateKey(pem: string): boolean {
  try {
    createPrivateKey(pem);
    return true;
  } catch {
    return false;
  }
}

const advice: Readonly<Record<string, string>> = {
  service_account: 'create the key again (gcloud iam service-accounts keys create)',
  authorized_user: 'run `gcloud auth application-default login`',
  external_account:
    'check the subject token that it names and the workload identity pool, or create it again (gcloud iam workload-identity-pools create-cred-config)',
  external_account_authorized_user:
    'run `gcloud auth application-default login --login-config=FILE` with the login configuration of the workforce pool',
  impersonated_service_account:
    'check its source credentials, and grant them roles/iam.serviceAccountTokenCreator on the service account',
  gdch_service_account: 'create the key again (gdcloud iam service-accounts keys create)',
};
const anyOfThem =
  'run `gcloud auth application-default login`, set GOOGLE_APPLICATION_CREDENTIALS, or give the machine or pod a service account';

/** What to do about credentials that cannot be used, by the type that the file says it is of. */
export function adviceFor(file: KeyFile | undefined): string {
  if (!file) return anyOfThem;
  const known = advice[typeOf(file)];
  if (file.namedBy === 'gcloud') return known ?? anyOfThem;
  return `${known ?? 'put a credentials file of Google there'}, or unset GOOGLE_APPLICATION_CREDENTIALS`;
}

/** The type that a readable file says it is of; empty where it says none. */
function typeOf({ path }: KeyFile): string {
  try {
    const { type } = JSON.parse(readFileSync(path, 'utf8'));
    return kinds.has(type) ? type : '';
  } catch {
    return '';
  }
}

/** Names the file, where there is one, and nothing of its content. */
export function credentialsProblem(
  subject: string | undefined,
  what: string,
  mend: string,
  code?: string,
): DaemonError {
  return new DaemonError('google_credentials', what, {
    ...(subject && { subject }),
    mend,
    ...(code && { systemCode: code }),
  });
}
