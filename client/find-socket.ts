import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { maxSocketPathBytes, runtimeFolders } from '../schemas/runtime-folder.ts';
import { ClientError } from './errors.ts';
import { distrust, type MayServe } from './trusted-socket.ts';

/** Where a program looks for its daemon. */
export interface SocketSearch {
  /** Every place, in the order of the search. */
  readonly places: readonly string[];
  /** The socket to connect to now: the first that is there and is believed; where none is, the first that is there, or the last place. */
  find(): string;
}

/**
 * The socket that was given, or `HOTCONF_SOCKET`, or `default.sock` in the folders that daemons use. Throws `usage` for a
 * path that cannot be one.
 */
export function searchSocket(given: string | undefined, mayServe: MayServe, env = process.env): SocketSearch {
  const named = given ?? env.HOTCONF_SOCKET;
  if (named === undefined) {
    const place = { env, uid: process.getuid?.(), temporary: tmpdir() };
    const folders = runtimeFolders(place, process.cwd(), existsSync);
    return search(
      folders.map((folder) => join(folder, 'default.sock')),
      mayServe,
    );
  }
  const which = given === undefined ? 'HOTCONF_SOCKET' : 'the socket';
  if (named === '') throw new ClientError('usage', `${which} is an empty text; leave it out or name a path`);
  const bytes = Buffer.byteLength(named);
  if (bytes > maxSocketPathBytes)
    throw new ClientError(
      'usage',
      `${which} has ${bytes} bytes, and the path of a socket can have ${maxSocketPathBytes}`,
    );
  return { places: [named], find: () => named };
}

function search(places: readonly string[], mayServe: MayServe): SocketSearch {
  return {
    places,
    find: () => {
      const there = places.filter((place) => Buffer.byteLength(place) <= maxSocketPathBytes && existsSync(place));
      return there.find((place) => !distrust(place, mayServe)) ?? there[0] ?? places.at(-1)!;
    },
  };
}
