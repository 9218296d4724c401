import { join } from 'node:path';
import { DaemonError } from '../model/errors.ts';
import type { Options } from './options.ts';

/** The socket of a view. */
export function viewSocket({ runtimeDir }: Options, view: string): string {
  return join(runtimeDir, `${view}.sock`);
}

/** The socket of the view that is meant where none is named: `default`, or the only one there is. */
export function usualSocket(options: Options): string {
  const names = options.views.map(({ name }) => name);
  if (names.includes('default')) return viewSocket(options, 'default');
  if (names.length === 1) return viewSocket(options, names[0]!);
  const mend = `name one with --socket: ${names.map((name) => viewSocket(options, name)).join(', ')}`;
  throw new DaemonError('usage', 'there are several views, and none is `default`', { mend });
}

export function adminSocket(options: Options): string {
  return join(options.runtimeDir, options.admin.socket);
}
