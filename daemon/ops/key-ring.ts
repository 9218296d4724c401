import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DaemonError, systemCode } from '../model/errors.ts';

/** Secret keys of 32 bytes: the first encrypts, all decrypt. */
export type KeyRing = readonly Buffer[];

const keyBytes = 32;
const credential = 'lkg-key';

/** Where the key comes from: systemd's credential `lkg-key`, or else the file of the options; `undefined` for neither. */
export function findKeyFile(keyFile: string | undefined, env: NodeJS.ProcessEnv): string | undefined {
  return credentialFile(env) ?? keyFile;
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

function credentialFile({ CREDENTIALS_DIRECTORY: folder }: NodeJS.ProcessEnv): string | undefined {
  if (!folder) return undefined;
  const file = join(folder, credential);
  try {
    closeSync(openSync(file, 'r'));
    return file;
  } catch {
    return undefined;
  }
}

function readSecretFile(file: string): Buffer {
  let handle: number;
  try {
    handle = openSync(file, 'r');
  } catch (error) {
    throw unusable(
      file,
      `cannot be read: ${systemCode(error)}`,
      `head -c ${keyBytes} /dev/urandom | base64 > ${file}; chmod 0600 ${file}`,
    );
  }
  try {
    const { mode, uid } = fstatSync(handle);
    const own = process.getuid?.();
    // systemd gives credentials to the service's user alone, by an ACL that shows as the group's rights.
    const others = file.endsWith(`/${credential}`) ? 0o007 : 0o077;
    if ((mode & others) !== 0) throw unusable(file, 'can be read by others', `chmod 0600 ${file}`);
    if (own !== undefined && uid !== 0 && uid !== own)
      throw unusable(file, `belongs to uid ${uid}`, `chown it to uid ${own}`);
    return readFileSync(handle);
  } finally {
    closeSync(handle);
  }
}

function unusable(subject: string, what: string, mend: string): DaemonError {
  return new DaemonError('key_unusable', what, { subject, mend });
}
