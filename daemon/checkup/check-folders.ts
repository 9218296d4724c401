import { accessSync, constants, existsSync, lstatSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { TokenBook } from '../admin/token-book.ts';
import { systemCode } from '../model/errors.ts';
import { findKeyFile, readKeyRing } from '../ops/key-ring.ts';
import type { Options } from '../ops/options.ts';
import { requireShortPath } from '../ops/socket-file.ts';
import { adminSocket, viewSocket } from '../ops/socket-paths.ts';
import { type Finding, fail, failed, look, ok, warn } from './finding.ts';

const littleRoomBytes = 64 * 1024 * 1024;
const mode = (bits: number) => `0${(bits & 0o7777).toString(8)}`;

/** Where sockets, state and keys lie. Makes nothing. */
export function checkFolders(options: Options, env: NodeJS.ProcessEnv): Finding[] {
  return [
    ...look('runtimeDir', () => checkSockets(options)),
    ...look('stateDir', () => checkState(options)),
    ...look('disk', () => checkDisk(options)),
    ...look('last known good', () => checkKey(options, env)),
    ...look('tokens', () => checkTokens(options)),
  ];
}

function checkSockets(options: Options): Finding[] {
  const { runtimeDir, views } = options;
  const sockets = [adminSocket(options), ...views.map(({ name }) => viewSocket(options, name))];
  const length = look('sockets', () => {
    for (const path of sockets) requireShortPath(path);
    return ok('sockets', sockets.join(', '));
  });
  return [checkFolder('runtimeDir', runtimeDir, 0o022), ...length];
}

function checkState({ stateDir }: Options): Finding {
  return checkFolder('stateDir', stateDir, 0o077);
}

/** A folder that is there is ours and closed to others; one that is not there can be made. */
function checkFolder(check: string, folder: string, forbidden: number): Finding {
  const stats = lstatSync(folder, { throwIfNoEntry: false });
  const uid = process.getuid?.();
  if (!stats) return checkParent(check, folder);
  if (!stats.isDirectory()) return fail(check, `${folder} is a link or no folder`, 'name a real folder');
  if (stats.uid !== 0 && stats.uid !== uid)
    return fail(check, `${folder} belongs to uid ${stats.uid}`, `chown ${uid} ${folder}`);
  if ((stats.mode & forbidden) !== 0)
    return (forbidden & 0o055) === 0
      ? fail(check, `${folder} has mode ${mode(stats.mode)}: others may write to it`, `chmod 0750 ${folder}`)
      : warn(check, `${folder} has mode ${mode(stats.mode)}: others may look into it`, `chmod 0700 ${folder}`);
  return isWritable(folder)
    ? ok(check, `${folder}, mode ${mode(stats.mode)}`)
    : fail(check, `${folder} cannot be written`, `chown ${uid} ${folder}`);
}

function checkParent(check: string, folder: string): Finding {
  let parent = dirname(folder);
  while (!existsSync(parent)) parent = dirname(parent);
  return isWritable(parent)
    ? ok(check, `${folder} will be made`)
    : fail(check, `${folder} is missing, and ${parent} cannot be written`, `mkdir -p ${folder}, as a user who may`);
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

function checkKey({ lastKnownGood }: Options, env: NodeJS.ProcessEnv): Finding {
  const file = findKeyFile('lkg-key', lastKnownGood.keyFile, env);
  if (!file)
    return warn(
      'last known good',
      'no key seen from here: without one a start while sources are away serves nothing',
      'set lastKnownGood.keyFile, or give the systemd credential lkg-key',
    );
  try {
    const { length } = readKeyRing(file);
    return ok('last known good', `${length === 1 ? 'one key' : `${length} keys`} in ${file}`);
  } catch (error) {
    return failed('last known good', error);
  }
}

function checkTokens({ admin }: Options): Finding[] {
  return (admin.http?.tokens ?? []).map((token) => {
    const check = `token ${token.name}`;
    try {
      new TokenBook([token], () => {}).open();
      return ok(check, `${token.file}, for the role ${token.role}, mode ${mode(statSync(token.file).mode)}`);
    } catch (error) {
      return failed(check, error);
    }
  });
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return true;
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return false;
  }
}
