import { basename } from 'node:path';
import { maxDurationMs, toDaemonLimits } from '../schemas/wire-limits.ts';
import { ConfigClient } from './config-client.ts';
import { ClientError } from './errors.ts';
import { type SocketSearch, searchSocket } from './find-socket.ts';
import { requireWhole } from './fit-frame.ts';
import { LinkToDaemon } from './link.ts';
import { deferred } from './node20.ts';
import { socketTransport } from './socket-transport.ts';
import { type MayServe, socketIdentity } from './trusted-socket.ts';
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
  const { timeoutMs = defaultTimeoutMs, signal, env, verify, observe, keepAlive = true } = options;
  if (signal?.aborted) throw new ClientError('aborted', 'the signal was aborted before connecting');
  requireTimeout(timeoutMs);
  if (options.name !== undefined && options.name !== '') requireWhole('name', options.name, toDaemonLimits.hello.name);
  const mayServe = trusted(options.daemonUid);
  const search = searchSocket(options.socket, mayServe);
  const { promise: first, resolve, reject } = deferred<void>();
  const link = new LinkToDaemon({
    transport: socketTransport(search.find, mayServe),
    landmark: () => socketIdentity(search.find()),
    name: options.name || basename(process.argv[1] ?? 'node'),
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
  const timer =
    timeoutMs === Number.POSITIVE_INFINITY
      ? undefined
      : setTimeout(() => reject(timeout(search, timeoutMs, config)), timeoutMs);
  const abort = () => {
    reject(new ClientError('aborted', 'the signal was aborted'));
    void config.close();
  };
  signal?.addEventListener('abort', abort, { once: true, signal: config.closed });
  try {
    link.open();
    await first;
    if (!keepAlive) link.release();
    return config;
  } catch (error) {
    await config.close();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function requireTimeout(timeoutMs: number): void {
  if (timeoutMs === Number.POSITIVE_INFINITY || (timeoutMs > 0 && timeoutMs <= maxDurationMs)) return;
  const what = `timeoutMs is a time from 1 to ${maxDurationMs}, or Infinity to wait for a daemon that starts later`;
  throw new ClientError('usage', what);
}

/** Root, this process's own user, and the one that is configured. */
function trusted(given: number | undefined): MayServe {
  const configured = given ?? (process.env.HOTCONF_DAEMON_UID ? Number(process.env.HOTCONF_DAEMON_UID) : undefined);
  if (configured !== undefined && !Number.isInteger(configured))
    throw new ClientError('usage', 'HOTCONF_DAEMON_UID and daemonUid are the number of a user');
  const own = process.getuid?.();
  return (uid) => own === undefined || uid === 0 || uid === own || uid === configured;
}

function timeout({ places, find }: SocketSearch, timeoutMs: number, { link }: { readonly link: Link }): ClientError {
  const why = link.kind === 'stale' ? link.reason : 'no snapshot came';
  const where = places.length === 1 ? find() : `any of ${places.join(', ')}`;
  const what = `no settings from ${where} within ${timeoutMs} ms: ${why} (is the daemon running there?)`;
  return new ClientError('timeout', what);
}
