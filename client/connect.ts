import { basename, join } from 'node:path';
import { defaultRuntimeFolder } from '../schemas/runtime-folder.ts';
import { ConfigClient } from './config-client.ts';
import { ClientError } from './errors.ts';
import { LinkToDaemon } from './link.ts';
import { socketMark, socketTransport } from './socket-transport.ts';
import type { Config, ConnectOptions, Link } from './types.ts';

const defaultTimeoutMs = 5_000;

/**
 * Connects to the daemon and resolves with the first accepted snapshot. From then on the config keeps itself current:
 * it comes back by itself when the daemon was away, and never throws while it is read. Rejects with a `ClientError`:
 * `timeout`, `protocol`, `refused`, `rejected`, `aborted` or `usage`.
 */
export async function connect<S = Record<string, unknown>>(options: ConnectOptions<S> = {}): Promise<Config<S>> {
  return openConfig(options);
}

/** As {@link connect}, for the command line, which also asks for what programs do not need. */
export async function openConfig<S>(options: ConnectOptions<S>): Promise<ConfigClient<S>> {
  const { timeoutMs = defaultTimeoutMs, signal, env, verify, observe } = options;
  if (signal?.aborted) throw new ClientError('aborted', 'the signal was aborted before connecting');
  const path = socketPath(options.socket);
  const { promise: first, resolve, reject } = Promise.withResolvers<void>();
  const link = new LinkToDaemon({
    transport: socketTransport(path, trusted(options.daemonUid)),
    landmark: () => socketMark(path),
    name: options.name ?? basename(process.argv[1] ?? 'node'),
    capabilities: ['patch', ...(verify ? ['verify'] : []), ...(observe ? ['observe'] : [])],
    adopt: ({ settings, within }, { revision, epoch, committedAt, cause }) =>
      config.adopt({ settings, revision, epoch, committedAt, cause, ...(within && { within }) }),
    onRejected: (error) =>
      reject(new ClientError('rejected', `this program rejects the first snapshot: ${error.message}`, error.cause)),
    tryOut: ({ settings }, trySignal) => config.tryOut(settings, trySignal),
    onLive: () => {
      config.setLink({ kind: 'live' });
      resolve();
    },
    onStale: (reason) => config.setLink({ kind: 'stale', since: new Date(), reason }),
    onRefused: reject,
  });
  const config = new ConfigClient<S>(link, { ...(verify && { verify }), ...(env && { envPrefix: env.prefix }) });
  const timer = setTimeout(() => reject(timeout(path, timeoutMs, config)), timeoutMs);
  signal?.addEventListener('abort', () => {
    reject(new ClientError('aborted', 'the signal was aborted'));
    void config.close();
  });
  link.open();
  try {
    await first;
    return config;
  } catch (error) {
    await config.close();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Root, this process's own user, and the one that is configured. */
function trusted(given: number | undefined): (uid: number) => boolean {
  const configured = given ?? (process.env.HOTCONF_DAEMON_UID ? Number(process.env.HOTCONF_DAEMON_UID) : undefined);
  if (configured !== undefined && !Number.isInteger(configured))
    throw new ClientError('usage', 'HOTCONF_DAEMON_UID and daemonUid are the number of a user');
  const own = process.getuid?.();
  return (uid) => own === undefined || uid === 0 || uid === own || uid === configured;
}

function socketPath(given: string | undefined): string {
  const path = given ?? process.env.HOTCONF_SOCKET;
  if (path === '') throw new ClientError('usage', 'the socket is an empty text; leave it out or name a path');
  return path ?? join(defaultRuntimeFolder(process.env), 'default.sock');
}

function timeout(path: string, timeoutMs: number, { link }: { readonly link: Link }): ClientError {
  const why = link.kind === 'stale' ? link.reason : 'no snapshot came';
  return new ClientError(
    'timeout',
    `no settings from ${path} within ${timeoutMs} ms: ${why} (is the daemon running there?)`,
  );
}
