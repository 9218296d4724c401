import { GoogleAuth } from 'google-gax';
import { type DaemonError, systemCode } from '../../model/errors.ts';
import { adviceFor, checkKeyFile, credentialsProblem, type KeyFile, keyFileOf } from './google-key-file.ts';

const scope = 'https://www.googleapis.com/auth/cloud-platform';
/** The metadata server, or whoever gives out tokens, answers within milliseconds or is not there. */
const answersWithinMs = 5_000;

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
    return credentialsProblem(subject, `Google does not accept the credentials: ${whose}`, adviceFor(file));
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

/** What the library threw, by what it is and never by its words. */
function explain(error: unknown, file: KeyFile | undefined): DaemonError {
  const code = systemCode(error);
  if (error instanceof TooLate) {
    const who = file ? `whoever gives out tokens for ${file.path}` : 'the metadata server';
    return credentialsProblem(file?.path, `${who} does not answer`, 'see the network of this machine', 'TIMEOUT');
  }
  if (!file && (code === undefined || !/^E[A-Z]+$/.test(code))) return none();
  const status = (error as { status?: unknown }).status;
  const how = typeof status === 'number' ? `HTTP ${status}` : (code ?? 'unknown error');
  const what = file ? 'no token can be got with it' : 'no token can be got from the metadata server';
  return credentialsProblem(file?.path, `${what}: ${how}`, adviceFor(file), code);
}

function none(): DaemonError {
  return credentialsProblem(
    undefined,
    'there are no Google credentials: GOOGLE_APPLICATION_CREDENTIALS names no file, gcloud has left none, and no metadata server answers',
    adviceFor(undefined),
  );
}
