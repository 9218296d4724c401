import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { DaemonError } from '../model/errors.ts';

/** The number of a user or group that is given by name or by number. Throws `options_unusable` for one that is unknown. */
export function accountNumber(kind: 'user' | 'group', account: string, subject: string): number {
  const number = /^\d+$/.test(account) ? Number(account) : (fromFile(kind, account) ?? fromDirectory(kind, account));
  if (number !== undefined) return number;
  const mend = `create it, or give its number`;
  throw new DaemonError('options_unusable', `there is no ${kind} '${account}' on this host`, { subject, mend });
}

// passwd(5) and group(5): the name, a password, the number.
function fromFile(kind: 'user' | 'group', name: string): number | undefined {
  const lines = readFileSync(kind === 'user' ? '/etc/passwd' : '/etc/group', 'utf8').split('\n');
  return numberIn(lines.find((line) => line.startsWith(`${name}:`)));
}

/** LDAP and the like, by way of getent(1). */
function fromDirectory(kind: 'user' | 'group', name: string): number | undefined {
  try {
    const database = kind === 'user' ? 'passwd' : 'group';
    const args = [database, '--', name];
    return numberIn(
      execFileSync('getent', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: 5_000 }),
    );
  } catch {
    return undefined;
  }
}

function numberIn(line: string | undefined): number | undefined {
  const number = line?.split(':')[2];
  return number && /^\d+$/.test(number) ? Number(number) : undefined;
}
