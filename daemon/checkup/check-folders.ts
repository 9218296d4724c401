import { existsSync, lstatSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { TokenBook } from '../admin/token-book.ts';
import { type Account, accountName, chownTo } from '../ops/accounts.ts';
import { mayWrite } from '../ops/file-access.ts';
import { folderProblem } from '../ops/folder-access.ts';
import { findKeyFile, readKeyRing } from '../ops/key-ring.ts';
import type { Options } from '../ops/options.ts';
import { requireShortPath } from '../ops/socket-file.ts';
import { adminSocket, viewSocket } from '../ops/socket-paths.ts';
import { type Finding, fail, failed, look, ok, warn } from './finding.ts';

const littleRoomBytes = 64 * 1024 * 1024;
const mode = (bits: number) => `0${(bits & 0o7777).toString(8)}`;

/** Where sockets, state and keys lie, as the daemon's user has to find them. Makes nothing. */
export function checkFolders(options: Options, env: NodeJS.ProcessEnv, user: Account): Finding[] {
  return [
    ...look('runtimeDir', () => checkSockets(options, user)),
    ...look('stateDir', () => checkFolder('stateDir', options.stateDir, user)),
    ...look('disk', () => checkDisk(options)),
    ...look('last known good', () => checkKey(options, env, user)),
    ...look('tokens', () => checkTokens(options, user)),
  ];
}

function checkSockets(options: Options, user: Account): Finding[] {
  const { runtimeDir, views } = options;
  const sockets = [adminSocket(options), ...views.map(({ name }) => viewSocket(options, name))];
  const length = look('sockets', () => {
    for (const path of sockets) requireShortPath(path);
    return ok('sockets', sockets.join(', '));
  });
  return [checkFolder('runtimeDir', runtimeDir, user), ...length];
}

/** A folder that is there is the daemon's and closed to others; one that is not there can be made. */
function checkFolder(check: string, folder: string, user: Account): Finding {
  const stats = lstatSync(folder, { throwIfNoEntry: false });
  if (!stats) return checkParent(check, folder, user);
  const problem = folderProblem(folder, user);
  if (problem) return fail(check, `${folder} ${problem.what}`, problem.mend);
  if (!mayWrite(stats, user))
    return fail(check, `${folder} cannot be written by ${accountName(user.uid)}`, chownTo(user.uid, folder));
  if (check === 'stateDir' && (stats.mode & 0o055) !== 0)
    return warn(check, `${folder} has mode ${mode(stats.mode)}: others may look into it`, `chmod 0700 ${folder}`);
  return ok(check, `${folder}, mode ${mode(stats.mode)}`);
}

function checkParent(check: string, folder: string, user: Account): Finding {
  let parent = dirname(folder);
  while (!existsSync(parent)) parent = dirname(parent);
  if (mayWrite(statSync(parent), user)) return ok(check, `${folder} will be made`);
  const name = accountName(user.uid);
  return fail(
    check,
    `${folder} is missing, and ${name} cannot write to ${parent}`,
    `install -d -m 0750 -o ${name} ${folder}`,
  );
}

function checkDisk({ stateDir }: Options): Finding {
  let folder = stateDir;
  while (!existsSync(folder)) folder = dirname(folder);
  const { bavail, bsize, ffree } = statfsSync(folder);
  const mebibytes = Math.floor((bavail * bsize) / 1024 / 1024);
  return bavail * bsize >= littleRoomBytes && ffree !== 0
    ? ok('disk', `${mebibytes} MiB free for the state`)
    : warn(
        'disk',
        `${mebibytes} MiB and ${ffree} files free at ${folder}`,
        'make room: a full disk stops operators, not programs',
      );
}

function checkKey({ lastKnownGood }: Options, env: NodeJS.ProcessEnv, user: Account): Finding {
  const file = findKeyFile('lkg-key', lastKnownGood.keyFile, env);
  if (!file)
    return warn(
      'last known good',
      'no key seen from here: without one a start while sources are away serves nothing',
      'set lastKnownGood.keyFile, or give the systemd credential lkg-key',
    );
  try {
    const { length } = readKeyRing(file, user);
    return ok('last known good', `${length === 1 ? 'one key' : `${length} keys`} in ${file}`);
  } catch (error) {
    return failed('last known good', error);
  }
}

function checkTokens({ admin }: Options, user: Account): Finding[] {
  return (admin.http?.tokens ?? []).map((token) => {
    const check = `token ${token.name}`;
    try {
      new TokenBook([token], () => {}, user).open();
      return ok(check, `${token.file}, for the role ${token.role}, mode ${mode(statSync(token.file).mode)}`);
    } catch (error) {
      return failed(check, error);
    }
  });
}
