import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { DaemonError } from '../model/errors.ts';

/** A user with the groups it is in. */
export interface Account {
  readonly uid: number;
  readonly gids: readonly number[];
}

/** The user that this process runs as; root where there are no users. */
export function ownAccount(): Account {
  const gids = [...(process.getgroups?.() ?? []), process.getegid?.() ?? 0];
  return { uid: process.getuid?.() ?? 0, gids };
}

/** A user as the host knows it, by passwd(5) and group(5). */
export function accountOf(uid: number): Account {
  if (uid === process.getuid?.()) return ownAccount();
  const user = linesOf('user').find(([, , number]) => number === String(uid));
  const own = user ? [Number(user[3])] : [];
  const others = linesOf('group')
    .filter(([, , , members = '']) => user && members.split(',').includes(user[0]!))
    .map(([, , gid]) => Number(gid));
  return { uid, gids: [...own, ...others] };
}

/** A user's name, for commands that a person is to type; its number where it has none. */
export function accountName(uid: number): string {
  return linesOf('user').find(([, , number]) => number === String(uid))?.[0] ?? String(uid);
}

/** A command that gives a file or folder to a user, and to its group where it has one. */
export function chownTo(uid: number, path: string): string {
  const name = accountName(uid);
  return `chown ${name}${name === String(uid) ? '' : ':'} ${path}`;
}

/** ... and closes a file to everybody else. */
export function closeTo(uid: number, file: string): string {
  return `${chownTo(uid, file)} && chmod 0600 ${file}`;
}

/** The number of a user or group that is given by name or by number. Throws `options_unusable` for one that is unknown. */
export function accountNumber(kind: 'user' | 'group', account: string, subject: string): number {
  const number = /^\d+$/.test(account) ? Number(account) : (fromFile(kind, account) ?? fromDirectory(kind, account));
  if (number !== undefined) return number;
  const mend = `create it, or give its number`;
  throw new DaemonError('options_unusable', `there is no ${kind} '${account}' on this host`, { subject, mend });
}

function fromFile(kind: 'user' | 'group', name: string): number | undefined {
  return numberIn(linesOf(kind).find(([known]) => known === name));
}

// passwd(5) and group(5): the name, a password, the number, and more.
function linesOf(kind: 'user' | 'group'): string[][] {
  try {
    const text = readFileSync(kind === 'user' ? '/etc/passwd' : '/etc/group', 'utf8');
    return text.split('\n').map((line) => line.split(':'));
  } catch {
    return [];
  }
}

/** LDAP and the like, by way of getent(1). */
function fromDirectory(kind: 'user' | 'group', name: string): number | undefined {
  try {
    const database = kind === 'user' ? 'passwd' : 'group';
    const args = [database, '--', name];
    const found = execFileSync('getent', args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 5_000,
    });
    return numberIn(found.split(':'));
  } catch {
    return undefined;
  }
}

function numberIn(words: readonly string[] | undefined): number | undefined {
  const number = words?.[2];
  return number && /^\d+$/.test(number) ? Number(number) : undefined;
}
