import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DaemonError, systemCode } from '../model/errors.ts';

/** Secret keys of 32 bytes: the first encrypts, all decrypt. */
export type KeyRing = readonly Buffer[];

const keyBytes = 32;

/** What a key is for: the name of its systemd credential. */
export type KeyName = 'lkg-key' | 'audit-key' | 'alert-key';

/** Where a key comes from: systemd's credential of its name, or else a file; `undefined` for neither. */
export function findKeyFile(name: KeyName, keyFile: string | undefined, env: NodeJS.ProcessEnv): string | undefined {
  return credentialFile(name, env) ?? keyFile;
}

/** The first key of a file, which is made where it is missing. Throws `key_unusable`. */
export function readOrMakeKey(file: string): Buffer {
  try {
    if (!existsSync(file)) makeKey(file);
  } catch (error) {
    throw unusable(file, `cannot be made: ${systemCode(error)}`, 'make its folder writable for this user');
  }
  return readKeyRing(file)[0]!;
}

/**
 * Reads a key file: 32 bytes as they are, or lines of base64, one key each. Throws `key_unusable` for a file that is
 * missing, that others may read, or that holds no key; nothing of the content is told.
 */
export function readKeyRing(file: string): KeyRing {
  const content = readSecretFile(file);
  if (content.length === keyBytes) return [content];
  const lines = content
    .toString('latin1')
    .split('\n')
    .map((line) => line.trim());
  const keys = lines.filter(Boolean).map((line) => Buffer.from(line, 'base64'));
  if (keys.length > 0 && keys.every((key) => key.length === keyBytes)) return keys;
  const mend = `head -c ${keyBytes} /dev/urandom | base64 > ${file}`;
  throw unusable(file, `holds no key: ${keyBytes} random bytes, raw or a line of base64 for each`, mend);
}

/** Whole or not at all: a full disk must not leave an empty one. */
function makeKey(file: string): void {
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    rmSync(temporary, { force: true });
    // Not `flush`: Node's permission model knows no fsync.
    writeFileSync(temporary, `${randomBytes(keyBytes).toString('base64')}\n`, { mode: 0o600, flag: 'as' });
    renameSync(temporary, file);
  } finally {
    rmSync(temporary, { force: true });
  }
}

function credentialFile(name: KeyName, { CREDENTIALS_DIRECTORY: folder }: NodeJS.ProcessEnv): string | undefined {
  if (!folder) return undefined;
  const file = join(folder, name);
  try {
    closeSync(openSync(file, 'r'));
    return file;
  } catch {
    return undefined;
  }
}

/** A file that only its owner may read. Throws `code` where it is not. */
export function readSecretFile(file: string, code: 'key_unusable' | 'token_unusable' = 'key_unusable'): Buffer {
  const refuse = (what: string, mend: string) => new DaemonError(code, what, { subject: file, mend });
  let handle: number;
  try {
    // A FIFO must not hold us up.
    handle = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const mend = `head -c ${keyBytes} /dev/urandom | base64 > ${file}; chmod 0600 ${file}`;
    throw refuse(`cannot be read: ${systemCode(error)}`, mend);
  }
  try {
    const stats = fstatSync(handle);
    const own = process.getuid?.();
    if (!stats.isFile()) throw refuse('is not a regular file', 'name a file');
    // systemd gives credentials to the service's user alone, by an ACL that shows as the group's rights.
    // Kubernetes gives a mounted token to root and the pod's group.
    const isOurGroups = code === 'token_unusable' && stats.uid === 0 && stats.gid === process.getegid?.();
    const others = isOurGroups || /\/(lkg|audit|alert)-key$/.test(file) ? 0o037 : 0o077;
    if ((stats.mode & others) !== 0) throw refuse('can be read by others', `chmod 0600 ${file}`);
    if (own !== undefined && stats.uid !== 0 && stats.uid !== own)
      throw refuse(`belongs to uid ${stats.uid}`, `chown it to uid ${own}`);
    return readFileSync(handle);
  } finally {
    closeSync(handle);
  }
}

function unusable(subject: string, what: string, mend: string): DaemonError {
  return new DaemonError('key_unusable', what, { subject, mend });
}
