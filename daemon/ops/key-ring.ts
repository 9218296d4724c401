import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, linkSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DaemonError, systemCode } from '../model/errors.ts';
import { type Account, accountName, ownAccount } from './accounts.ts';
import { keyFile as kind, readSecretFile } from './secret-file.ts';

/** Secret keys of 32 bytes: the first encrypts, all decrypt. */
export type KeyRing = readonly Buffer[];

const keyBytes = 32;

/** What a key is for: the name of its systemd credential. */
export type KeyName = 'lkg-key' | 'audit-key' | 'alert-key';

/** Where a key comes from: systemd's credential of its name, or else a file; `undefined` for neither. */
export function findKeyFile(name: KeyName, keyFile: string | undefined, env: NodeJS.ProcessEnv): string | undefined {
  return credentialFile(name, env) ?? keyFile;
}

/** The first key of a file, which is made where it is missing. Throws `key_unreadable` or `key_unusable`. */
export function readOrMakeKey(file: string): Buffer {
  try {
    if (!existsSync(file)) makeKey(file);
  } catch (error) {
    throw unusable(file, `cannot be made: ${systemCode(error)}`, 'make its folder writable for this user');
  }
  return readKeyRing(file)[0]!;
}

/**
 * Reads a key file: 32 bytes as they are, or lines of base64, one key each. Throws `key_missing`, `key_unreadable`, or
 * `key_unusable` for a file that others may read or that holds no key; nothing of the content is told.
 */
export function readKeyRing(file: string, reader: Account = ownAccount()): KeyRing {
  const content = readSecretFile(file, kind, reader);
  if (content.length === keyBytes) return [content];
  const lines = content
    .toString('latin1')
    .split('\n')
    .map((line) => line.trim());
  const keys = lines.filter(Boolean).map((line) => Buffer.from(line, 'base64'));
  if (keys.length > 0 && keys.every((key) => key.length === keyBytes)) return keys;
  // What it should hold may be all that opens what was kept: a new key never goes over an old file.
  const mend = `put the key back that it held; or move it away, and ${kind.make(file, accountName(reader.uid))}`;
  throw unusable(file, `holds no key: ${keyBytes} random bytes, raw or a line of base64 for each`, mend);
}

/** Whole or not at all: a full disk must not leave an empty one. */
function makeKey(file: string): void {
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    rmSync(temporary, { force: true });
    // Made new, so that nothing is followed; not `flush`: Node's permission model knows no fsync.
    writeFileSync(temporary, `${randomBytes(keyBytes).toString('base64')}\n`, { mode: 0o600, flag: 'ax' });
    // Where one has come meanwhile, that one stays.
    linkSync(temporary, file);
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

function unusable(subject: string, what: string, mend: string): DaemonError {
  return new DaemonError('key_unusable', what, { subject, mend });
}
