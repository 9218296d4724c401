import { stringify } from 'yaml';
import type { JsonObject, JsonValue } from '../../schemas/json.ts';
import { leavesOf } from '../../schemas/patch.ts';
import { formatPath, parsePath, valueAt } from '../../schemas/paths.ts';
import { DaemonError } from '../model/errors.ts';
import { nearest } from '../model/nearest.ts';
import { type Io, printJson, printLines, type SharedOptions } from './io.ts';
import { openView } from './view-client.ts';

export interface GetOptions extends SharedOptions {
  readonly path?: string | undefined;
  readonly reveal?: boolean;
  readonly socket?: string;
}

/** The current settings, or one path of them; secrets as `[redacted]` unless they are to be shown. */
export async function get(options: GetOptions, io: Io): Promise<number> {
  const config = await openView(options, io);
  try {
    const settings = options.reveal ? (config.settings as JsonObject) : await config.redacted();
    const path = parsePath(options.path ?? '');
    const value = path && valueAt(settings, path);
    if (value === undefined) throw noSuchSetting(settings, options.path ?? '');
    if (options.json) printJson(io, value);
    else printLines(io, [asText(value)]);
    return 0;
  } finally {
    await config.close();
  }
}

function noSuchSetting(settings: JsonObject, path: string): DaemonError {
  const all = leavesOf(settings).flatMap((leaf) => leaf.map((_, i) => formatPath(leaf.slice(0, i + 1))));
  const near = nearest(path, new Set(all));
  const mend = near ? `did you mean ${near}?` : 'see `hotconf get` for all of them';
  return new DaemonError('refused', 'there is no such setting', { path, mend });
}

function asText(value: JsonValue): string {
  return typeof value === 'object' && value !== null ? stringify(value).trimEnd() : String(value);
}
