import { DaemonError } from '../model/errors.ts';
import type { Io, SharedOptions } from './io.ts';
import { tellReload } from './reload.ts';

export interface RollbackOptions extends SharedOptions {
  readonly revision: string;
  /** What has to be served now. */
  readonly expect?: string;
  readonly reason?: string;
  /** Programs that try candidates are not asked. */
  readonly force?: boolean;
}

/** Commits the content of an earlier revision as a new one, and pins it until `reload` or `unpin`. */
export async function rollback(options: RollbackOptions, io: Io): Promise<number> {
  const { revision, expect, reason, force } = options;
  return tellReload(options, io, '/admin/rollback', {
    to: toRevision(revision),
    ...(expect !== undefined && { expect: toRevision(expect) }),
    ...(reason && { reason }),
    ...(force && { force }),
  });
}

/** Lets the sources flow again, and commits what they say. */
export async function unpin(options: SharedOptions & { readonly reason?: string }, io: Io): Promise<number> {
  const { reason } = options;
  return tellReload(options, io, '/admin/unpin', { ...(reason && { reason }) });
}

function toRevision(text: string): number {
  if (/^[1-9]\d{0,15}$/.test(text)) return Number(text);
  throw new DaemonError('usage', `'${text}' is not a revision`, { mend: 'see `hotconf history`' });
}
