import { createHash, timingSafeEqual } from 'node:crypto';
import { statSync } from 'node:fs';
import { DaemonError, systemCode } from '../model/errors.ts';
import { type Account, ownAccount } from '../ops/accounts.ts';
import type { Role, TokenOptions } from '../ops/admin-options.ts';
import { readSecretFile, tokenFile } from '../ops/secret-file.ts';

export interface Bearer {
  readonly name: string;
  readonly role: Role;
}

interface Known extends Bearer {
  readonly digest: Buffer;
}

interface TokenFile {
  readonly options: TokenOptions;
  version: string;
  tokens: readonly Known[];
  problem: DaemonError | undefined;
}

/** What guessing must take where the number of guesses is the only limit. */
const fewestBits = 128;
/** A random token of that strength has more; one that has fewer was not made at random. */
const fewestDistinct = 8;
const mostBytes = 16 * 1024;

/**
 * The tokens that operators may show, from their files, which are read again as soon as they have changed. A file holds
 * one token a line, each valid, so that a new one can be added before the old one goes. A file that cannot be used
 * gives none.
 */
export class TokenBook {
  readonly #files: readonly TokenFile[];
  readonly #onProblem: (problem: string | undefined) => void;
  readonly #reader: Account;

  /** `reader`: who is to read the files, the process itself unless an operator looks for the daemon's user. */
  constructor(
    tokens: readonly TokenOptions[],
    onProblem: (problem: string | undefined) => void,
    reader: Account = ownAccount(),
  ) {
    this.#onProblem = onProblem;
    this.#reader = reader;
    this.#files = tokens.map((options) => ({ options, version: '', tokens: [], problem: undefined }));
  }

  /** Reads all of them. Throws `token_missing`, `token_unreadable` or `token_unusable`: better no start than one that nobody can operate. */
  open(): void {
    for (const file of this.#files) {
      refresh(file, this.#reader);
      if (file.problem) throw file.problem;
    }
  }

  /** Whose token this is; every one is compared in full, so that the time tells nothing. */
  bearerOf(token: string): Bearer | undefined {
    this.#refresh();
    const digest = digestOf(token);
    const known = this.#files.flatMap(({ tokens }) => tokens);
    const [found] = known.filter((candidate) => timingSafeEqual(candidate.digest, digest));
    return found && { name: found.name, role: found.role };
  }

  #refresh(): void {
    const changed = this.#files.filter((file) => refresh(file, this.#reader));
    if (changed.length > 0) this.#onProblem(this.#files.find(({ problem }) => problem)?.problem?.message);
  }
}

/** False when the file is as it was. */
function refresh(file: TokenFile, reader: Account): boolean {
  const version = versionOf(file.options.file);
  if (version === file.version) return false;
  file.version = version;
  try {
    file.tokens = readTokens(file.options, reader);
    file.problem = undefined;
  } catch (error) {
    if (!(error instanceof DaemonError)) throw error;
    file.tokens = [];
    file.problem = error;
  }
  return true;
}

function versionOf(path: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
  } catch (error) {
    // Reading it says what is wrong.
    return String(systemCode(error));
  }
}

function readTokens({ file, name, role }: TokenOptions, reader: Account): readonly Known[] {
  const content = readSecretFile(file, tokenFile, reader);
  const refuse = (what: string) =>
    new DaemonError('token_unusable', what, {
      subject: file,
      mend: 'one token a line; add one with openssl rand -base64 32',
    });
  if (content.length > mostBytes) throw refuse('is too large for a file of tokens');
  const lines = content.toString('latin1').split(/\r?\n/);
  const tokens = lines.flatMap((line, i) => (line === '' ? [] : [{ line, number: i + 1 }]));
  if (tokens.length === 0) throw refuse('holds no token');
  for (const { line, number } of tokens) {
    // RFC 6750, section 2.1: b64token.
    if (!/^[A-Za-z0-9\-._~+/]+=*$/.test(line)) throw refuse(`line ${number} has characters that no token has`);
    if (bitsOf(line) < fewestBits)
      throw refuse(`the token in line ${number} is too short or too regular for ${fewestBits} random bits`);
  }
  return tokens.map(({ line }) => ({ name, role, digest: digestOf(line) }));
}

/** What a token of its length and kinds of characters holds if it is random; 0 for one that is not. */
function bitsOf(token: string): number {
  if (new Set(token).size < fewestDistinct) return 0;
  const kinds: readonly (readonly [RegExp, number])[] = [
    [/^\d+$/, 10],
    [/^[\da-f-]+$/i, 16],
    [/^[\da-z]+$|^[\dA-Z]+$/, 36],
    [/^[\da-zA-Z]+$/, 62],
  ];
  const letters = kinds.find(([pattern]) => pattern.test(token))?.[1] ?? 64;
  return token.length * Math.log2(letters);
}

// All of one length, and compared in one time.
function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
