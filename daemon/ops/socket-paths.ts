import { join, resolve } from 'node:path';
import { DaemonError } from '../model/errors.ts';
import type { Options } from './options.ts';

/** The socket of a view. */
export function viewSocket({ runtimeDir }: Options, view: string): string {
  return join(runtimeDir, `${view}.sock`);
}

/** The view that is meant where none is named: `default`, or the only one there is. */
export function usualView(options: Options): string {
  const names = options.views.map(({ name }) => name);
  if (names.includes('default')) return 'default';
  if (names.length === 1) return names[0]!;
  const mend = `name one with --socket: ${names.map((name) => viewSocket(options, name)).join(', ')}`;
  throw new DaemonError('usage', 'there are several views, and none is `default`', { mend });
}

export function adminSocket({ runtimeDir, admin }: Options): string {
  return adminSocketIn(runtimeDir, admin.socket);
}

/** The operator's socket: a name in the folder of the sockets, or an absolute path. */
export function adminSocketIn(folder: string, socket = 'admin.sock'): string {
  return resolve(folder, socket);
}
