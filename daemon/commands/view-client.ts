import { statSync } from 'node:fs';
import type { ConfigClient } from '../../client/config-client.ts';
import { openConfig } from '../../client/connect.ts';
import { ClientError } from '../../client/errors.ts';
import { DaemonError } from '../model/errors.ts';
import { findViewSocket } from '../ops/find-daemon.ts';
import type { Io, SharedOptions } from './io.ts';

/** Looks on at a view, as a program would see it. Throws `not_reachable` or `not_permitted`. */
export async function openView(
  options: SharedOptions & { readonly socket?: string },
  { env }: Io,
): Promise<ConfigClient<Record<string, unknown>>> {
  const socket = options.socket ?? env.HOTCONF_SOCKET ?? findViewSocket({ config: options.config, env });
  try {
    // An operator has named the daemon, so it is to be believed whoever it runs as.
    const daemonUid = statSync(socket, { throwIfNoEntry: false })?.uid;
    return await openConfig<Record<string, unknown>>({
      socket,
      name: 'hotconf',
      observe: true,
      timeoutMs: 2_000,
      ...(daemonUid !== undefined && { daemonUid }),
    });
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    throw new DaemonError(error.code === 'refused' ? 'not_permitted' : 'not_reachable', error.message, {
      mend: 'start one with `hotconf start`',
    });
  }
}
