import { formatPath, parsePath } from '../../schemas/paths.ts';
import { DaemonError } from '../model/errors.ts';
import { parseDuration } from '../model/units.ts';

/** Between which times an option may lie; both ends are possible. */
export interface DurationBounds {
  /** Default `0s`. */
  readonly least?: string;
  /** Default `1h`. */
  readonly most?: string;
}

/** The milliseconds of an option, whose form the options schema has checked. Throws `options_invalid` beyond its bounds. */
export type ReadDuration = (path: string, text: string, bounds?: DurationBounds) => number;

/** For the options of one file. Unbounded times would spin, or overflow a timer and spin all the more. */
export function durationsOf(file: string): ReadDuration {
  return (path, text, { least = '0s', most = '1h' } = {}) => {
    const ms = parseDuration(text)!;
    if (ms >= parseDuration(least)! && ms <= parseDuration(most)!) return ms;
    const what = `must be from ${least} to ${most}`;
    throw new DaemonError('options_invalid', what, { subject: file, path: formatPath(parsePath(path) ?? [path]) });
  };
}
