import { GoogleAuth } from 'google-gax';
import { DaemonError, systemCode } from '../../model/errors.ts';
import { unreachable } from './google-errors.ts';
import { adviceFor, checkKeyFile, credentialsProblem, type KeyFile, keyFileOf } from './google-key-file.ts';

const scope = 'https://www.googleapis.com/auth/cloud-platform';
/** The metadata server, or whoever gives out tokens, answers within milliseconds or is not there. */
const answersWithinMs = 5_000;

/** System codes of name lookup, connection, proxy and TLS. */
const networkCodes =
  /^(TIMEOUT|EAI_.*|ENOTFOUND|ECONN.*|ETIMEDOUT|E(HOST|NET)(DOWN|UNREACH)|EPIPE|EPROTO|UND_ERR_.*|ERR_(SSL|TLS)_.*|.*CERT.*|UNABLE_TO_.*)$/;

type UnreachableCode = 'secret_unavailable' | 'notifications_unavailable';

interface CredentialsParts {
  /** Without it the library runs the `gcloud` command to find one, which takes seconds. */
  readonly project: string;
  readonly env: NodeJS.ProcessEnv;
  readonly withinMs: number;
  readonly unreachable: UnreachableCode;
}

/**
 * Google's Application Default Credentials, proved before any client is made of them: a client that finds none fails where
 * nobody can catch it (googleapis/google-cloud-node#9085), and with the words of a parser, which quote the key file.
 */
export class GoogleCredentials {
  readonly #env: NodeJS.ProcessEnv;
  readonly #answersWithinMs: number;
  readonly #unreachable: UnreachableCode;
  readonly #project: string | undefined;
  #ready: Promise<GoogleAuth> | undefined;

  /** `unreachable` is the code of the error when no token server can be reached; default `secret_unavailable`. */
  constructor({ project, env, withinMs, unreachable }: Partial<CredentialsParts> = {}) {
    this.#project = project;
    this.#env = env ?? process.env;
    this.#answersWithinMs = withinMs ?? answersWithinMs;
    this.#unreachable = unreachable ?? 'secret_unavailable';
  }

  /**
   * Credentials that are at hand and give headers for a request. Throws `google_credentials`, naming the file, or the code
   * for a token server that cannot be reached.
   */
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
    return credentialsProblem(subject, `Google does not accept the credentials: ${whose}`, adviceFor(file));
  }

  async #prove(): Promise<GoogleAuth> {
    const file = keyFileOf(this.#env);
    if (file) checkKeyFile(file);
    const auth = new GoogleAuth({ scopes: scope, ...(this.#project && { projectId: this.#project }) });
    // As Google's own clients set it: a service account then signs for itself and asks nobody.
    Object.assign(auth, { useJWTAccessWithScope: true, defaultScopes: [scope] });
    try {
      await inTime(prove(auth), this.#answersWithinMs);
      return auth;
    } catch (error) {
      throw explain(error, file, this.#unreachable);
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

/** What the library threw, by what it is and never by its words. */
function explain(error: unknown, file: KeyFile | undefined, unreachableCode: UnreachableCode): DaemonError {
  const code = error instanceof TooLate ? 'TIMEOUT' : systemCode(error);
  const status = statusOf(error);
  const how = status ? `HTTP ${status}` : (code ?? 'unknown error');
  if (!file) return explainMetadata(code, how);
  if (!isNetworkProblem(code, status))
    return credentialsProblem(file.path, `no token can be got with it: ${how}`, adviceFor(file), code);
  const what = `the token server of these credentials cannot be reached: ${how}`;
  return new DaemonError(unreachableCode, what, { subject: file.path, mend: unreachable, systemCode: how });
}

/** Without a file only the metadata server is left, and a machine outside Google Cloud has none. */
function explainMetadata(code: string | undefined, how: string): DaemonError {
  if (code === 'TIMEOUT')
    return credentialsProblem(undefined, 'the metadata server does not answer', adviceFor(undefined), code);
  if (code === undefined || !/^E[A-Z]+$/.test(code)) return none();
  const what = `no token can be got from the metadata server: ${how}`;
  return credentialsProblem(undefined, what, adviceFor(undefined), code);
}

function statusOf(error: unknown): number | undefined {
  const { status, response } = error as { status?: unknown; response?: { status?: unknown } };
  const found = status ?? response?.status;
  return typeof found === 'number' ? found : undefined;
}

/** The credentials themselves may be good: nobody has refused them. */
function isNetworkProblem(code: string | undefined, status: number | undefined): boolean {
  if (status !== undefined) return status >= 500 || status === 408 || status === 429;
  return code !== undefined && networkCodes.test(code);
}

function none(): DaemonError {
  return credentialsProblem(
    undefined,
    'there are no Google credentials: GOOGLE_APPLICATION_CREDENTIALS names no file, gcloud has left none, and no metadata server answers',
    adviceFor(undefined),
  );
}
