import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { DaemonError, systemCode } from '../model/errors.ts';
import { type Account, accountName, closeTo, ownAccount } from './accounts.ts';
import { exposureOf, foldersAboveSync, mayRead } from './file-access.ts';

/** The codes of what can be wrong with a secret file, and how a new one is made. */
export interface SecretFileKind {
  readonly missing: 'key_missing' | 'token_missing';
  readonly unreadable: 'key_unreadable' | 'token_unreadable';
  readonly unusable: 'key_unusable' | 'token_unusable';
  /** A command that makes one where there is none. */
  readonly make: (file: string, owner: string) => string;
}

const makeBytes = (file: string, owner: string) =>
  `install -m 0600 -o ${owner} /dev/null ${file} && head -c 32 /dev/urandom | base64 > ${file}`;

export const keyFile: SecretFileKind = {
  missing: 'key_missing',
  unreadable: 'key_unreadable',
  unusable: 'key_unusable',
  make: makeBytes,
};
export const tokenFile: SecretFileKind = {
  missing: 'token_missing',
  unreadable: 'token_unreadable',
  unusable: 'token_unusable',
  make: makeBytes,
};

/**
 * The content of a key or token file that nobody but its reader can get at. `reader` is who is to read it: the process
 * itself, or the daemon's user, as whom an operator looks. Throws the kind's codes; nothing of the content is told, and
 * nothing is advised that would overwrite it.
 */
export function readSecretFile(
  file: string,
  kind: SecretFileKind,
  reader: Account = ownAccount(),
  env: NodeJS.ProcessEnv = process.env,
): Buffer {
  const unreadable = (what: string) =>
    new DaemonError(kind.unreadable, what, {
      subject: file,
      mend: closeTo(reader.uid, file),
    });
  let handle: number;
  try {
    // A FIFO must not hold us up.
    handle = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT')
      throw new DaemonError(kind.missing, 'is missing', {
        subject: file,
        mend: kind.make(file, accountName(reader.uid)),
      });
    throw unreadable(`cannot be read: ${code}`);
  }
  try {
    const stats = fstatSync(handle);
    const refuse = (what: string, mend: string) => new DaemonError(kind.unusable, what, { subject: file, mend });
    if (!stats.isFile()) throw refuse('is not a regular file', 'name a file');
    if (!mayRead(stats, reader) && !isCredential(file, env))
      throw unreadable(`cannot be read by ${accountName(reader.uid)}`);
    const exposure = exposureOf({ path: file, stats }, foldersAboveSync(file), { reader, groups: 'own' });
    if (exposure && !exposure.isOfMount && !isCredential(file, env)) throw refuse(exposure.what, exposure.mend);
    return readFileSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** systemd gives credentials to the service's user alone, by an access list that shows as the group's rights. */
function isCredential(file: string, { CREDENTIALS_DIRECTORY: folder }: NodeJS.ProcessEnv): boolean {
  return folder !== undefined && dirname(file) === folder.replace(/\/$/, '');
}
