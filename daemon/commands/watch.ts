import { dirname, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConfigClient } from '../../client/config-client.ts';
import type { Link } from '../../client/types.ts';
import { type Path, parsePath } from '../../schemas/paths.ts';
import { DaemonError } from '../model/errors.ts';
import { plainText } from '../model/plain-text.ts';
import { findAdminSocket } from '../ops/find-daemon.ts';
import { findOptionsFile, loadOptions } from '../ops/options-file.ts';
import { adminSocket, adminSocketIn, viewSocket } from '../ops/socket-paths.ts';
import { type Io, localTime, printJson, printLines, type SharedOptions } from './io.ts';
import { operatorEvents } from './operator-events.ts';
import { openView } from './view-client.ts';
import { concerns, type Line, lineOf, pathsOf } from './watch-lines.ts';

export interface WatchOptions extends SharedOptions {
  readonly paths: readonly string[];
  readonly socket?: string;
  /** Not what was rejected, nor how the sources are. */
  readonly changesOnly?: boolean;
}

/** Without the operator's events after this long, only what programs receive is shown. */
const followWithinMs = 2_000;

/**
 * Follows changes, a line each, until it is interrupted; for an operator also what was rejected, which sources are stale or
 * well again, and who went back. Never prints a value.
 */
export async function watch(options: WatchOptions, io: Io): Promise<number> {
  const paths = options.paths.map(toPath);
  const config = await openView(options, io);
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  io.stdout.on('error', () => stop.abort());
  const tell = (line: Line, text: string) => {
    if (options.json) printJson(io, line);
    else printLines(io, [plainText(`${localTime(line.at)}  ${text}`)]);
  };
  const onLink = (link: Link) =>
    io.stderr.write(link.kind === 'live' ? 'connected again\n' : `stale: ${link.reason}\n`);
  config.on('link', onLink);
  const operators = new Operators();
  const following = options.changesOnly
    ? Promise.resolve()
    : followOperators(options, io, paths, stop.signal, tell, operators);
  // What is rejected from here on is shown.
  await Promise.race([operators.followed, following, sleep(followWithinMs, undefined, { ref: false })]);
  io.stderr.write(`watching from revision ${config.snapshot.revision}; Ctrl-C stops\n`);
  await Promise.all([followChanges(config, paths, stop.signal, tell, operators), following]);
  config.off('link', onLink);
  await config.close();
  return 0;
}

type Tell = (line: Line, text: string) => void;

/** Whether the events for operators come in, too. */
class Operators {
  isFollowed = false;
  readonly #first = Promise.withResolvers<void>();
  /** Resolves once they first come in. */
  readonly followed = this.#first.promise;

  set(isFollowed: boolean): void {
    this.isFollowed = isFollowed;
    if (isFollowed) this.#first.resolve();
  }
}

async function followChanges(
  config: ConfigClient<Record<string, unknown>>,
  paths: readonly Path[],
  signal: AbortSignal,
  tell: Tell,
  operators: Operators,
): Promise<void> {
  for await (const snapshot of config.changes({ signal })) {
    if (!concerns(paths, [...snapshot.changed, ...snapshot.removed])) continue;
    // An operator is told of a rollback with who did it, and why.
    if (snapshot.cause === 'rollback' && operators.isFollowed) continue;
    const { revision, changed, removed, cause, committedAt } = snapshot;
    tell(
      { kind: 'committed', revision, changed, removed, cause, at: committedAt.toISOString() },
      `revision ${revision}  ${cause}  ${pathsOf(snapshot)}`,
    );
  }
}

async function followOperators(
  options: WatchOptions,
  { env }: Io,
  paths: readonly Path[],
  signal: AbortSignal,
  tell: Tell,
  operators: Operators,
): Promise<void> {
  const socket = operatorsSocket(options, env);
  if (socket === undefined) return;
  const onFollowing = (isFollowed: boolean) => operators.set(isFollowed);
  let rejected: unknown;
  for await (const event of operatorEvents(socket, signal, onFollowing)) {
    const [line, text] = lineOf(event, paths) ?? [];
    if (!line || !text) continue;
    if (line.kind === 'rejected') rejected = line.message;
    // A person need not read the same sentence twice.
    tell(line, line.kind === 'stale' && line.message === rejected ? `stale  ${line.source}` : text);
  }
}

/**
 * Where a view's socket is named: the operator's socket of the options file that has this view, or else the one beside it.
 * Where none is: wherever the daemon is. `undefined` where this user sees none.
 */
function operatorsSocket({ socket, config }: WatchOptions, env: NodeJS.ProcessEnv): string | undefined {
  const named = socket ?? env.HOTCONF_SOCKET;
  if (named !== undefined) return adminSocketOfView(resolve(named), config, env) ?? adminSocketIn(dirname(named));
  try {
    return findAdminSocket({ config, env });
  } catch (error) {
    if (error instanceof DaemonError) return undefined;
    throw error;
  }
}

function adminSocketOfView(view: string, config: string | undefined, env: NodeJS.ProcessEnv): string | undefined {
  try {
    const options = loadOptions(findOptionsFile(config, env), env);
    return options.views.some(({ name }) => viewSocket(options, name) === view) ? adminSocket(options) : undefined;
  } catch (error) {
    if (error instanceof DaemonError) return undefined;
    throw error;
  }
}

function toPath(text: string) {
  const path = parsePath(text);
  if (!path)
    throw new DaemonError('usage', `'${text}' is not a path in the settings`, { mend: 'write it like database.url' });
  return path;
}
