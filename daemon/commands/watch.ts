import type { Link, Snapshot } from '../../client/types.ts';
import { overlap, parsePath } from '../../schemas/paths.ts';
import { DaemonError } from '../model/errors.ts';
import { type Io, localTime, printJson, printLines, type SharedOptions } from './io.ts';
import { openView } from './view-client.ts';

export interface WatchOptions extends SharedOptions {
  readonly paths: readonly string[];
  readonly socket?: string;
}

/** Follows changes, a line each, until it is interrupted. Never prints a value. */
export async function watch(options: WatchOptions, io: Io): Promise<number> {
  const paths = options.paths.map(toPath);
  const config = await openView(options, io);
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  io.stdout.on('error', () => stop.abort());
  io.stderr.write(`watching from revision ${config.snapshot.revision}; Ctrl-C stops\n`);
  const tell = (link: Link) => io.stderr.write(link.kind === 'live' ? 'connected again\n' : `stale: ${link.reason}\n`);
  config.on('link', tell);
  for await (const snapshot of config.changes({ signal: stop.signal })) {
    const touched = [...snapshot.changed, ...snapshot.removed].map((text) => parsePath(text) ?? []);
    if (paths.length > 0 && !touched.some((path) => paths.some((wanted) => overlap(wanted, path)))) continue;
    if (options.json) printJson(io, lineOf(snapshot));
    else printLines(io, [textOf(snapshot)]);
  }
  config.off('link', tell);
  await config.close();
  return 0;
}

function toPath(text: string) {
  const path = parsePath(text);
  if (!path)
    throw new DaemonError('usage', `'${text}' is not a path in the settings`, { mend: 'write it like database.url' });
  return path;
}

function lineOf({ revision, changed, removed, cause, committedAt }: Snapshot<unknown>) {
  return { revision, changed, removed, cause, at: committedAt.toISOString() };
}

function textOf({ revision, changed, removed, cause, committedAt }: Snapshot<unknown>): string {
  const paths = [...changed, ...removed.map((path) => `-${path}`)].join(' ');
  return `${localTime(committedAt.toISOString())}  revision ${revision}  ${cause}  ${paths}`;
}
