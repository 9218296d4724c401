import type { JsonObject } from '../../schemas/json.ts';
import { DaemonError, joinErrors } from '../model/errors.ts';
import type { Member } from './file-set.ts';
import { isDangling } from './read-file.ts';

/** What is known of one file. `version` and `hash` are of the last reading, `settings` of the last good one. */
export interface FileRecord {
  readonly member: Member;
  version: string;
  hash?: string;
  settings?: JsonObject;
  problem?: DaemonError;
  /** Where the cause of the problem may go away without a change of the file: when to read it again, and after how long. */
  retry?: { readonly at: number; readonly afterMs: number };
}

const passing = new Set(['source_missing', 'source_empty', 'source_malformed', 'source_encoding', 'source_unsettled']);

/** Whether it may be a change that is only half done. */
export function mayPass(problem: DaemonError | undefined): boolean {
  return problem !== undefined && passing.has(problem.code);
}

export function isUnreadable(problem: DaemonError | undefined): boolean {
  return problem?.facts.systemCode === 'EACCES' || problem?.facts.systemCode === 'EPERM';
}

export function unforeseen(error: unknown, subject: string): DaemonError {
  const kind = error instanceof Error ? error.name : typeof error;
  return new DaemonError('internal', `could not be read: ${kind}`, {
    subject,
    cause: error,
    mend: 'please report this',
  });
}

/** The first pause before a file is read again that did not change, in milliseconds; each next one is twice as long. */
const firstRetryMs = 1_000;
const maxRetryMs = 600_000;

/** When to read a file again although it is as it was; `undefined` where only a change can help. */
export function nextRetry({ problem, retry }: FileRecord, now: number): FileRecord['retry'] {
  // Whether permissions have changed is seen without reading.
  const mayGoAway = problem?.code === 'internal' || (problem?.facts.systemCode && !isUnreadable(problem));
  if (!mayGoAway) return undefined;
  const afterMs = Math.min(retry ? retry.afterMs * 2 : firstRetryMs, maxRetryMs);
  return { at: now + afterMs, afterMs };
}

/** The same problem, with the fix that fits what was there before. */
export function inPhase(problem: DaemonError, { settings, member, version }: FileRecord): DaemonError {
  if (problem.code !== 'source_missing') return problem;
  const missing = (what: string, mend: string) =>
    new DaemonError('source_missing', what, { subject: member.name, mend });
  if (isDanglingMember({ member, version })) return missing('is a link that leads nowhere', 'correct it, or remove it');
  // What was never there cannot be put back, and has left nothing that could be kept.
  return settings === undefined
    ? missing('is missing', 'put it there, or say `optional: true` where it may be missing')
    : problem;
}

/** Whether it is a folder's entry that leads nowhere: it is there, so that its values cannot go with it. */
export function isDanglingMember({ member, version }: Pick<FileRecord, 'member' | 'version'>): boolean {
  return member.path !== member.root.path && isDangling(version);
}

export function onlyComments(subject: string): DaemonError {
  const mend = 'run `hotconf reload` if that is meant';
  return new DaemonError('source_empty', 'holds nothing but comments now; its last values are kept', { subject, mend });
}

/** A problem that was reported before blocks nothing again; one that an operator's reload meets is reported again. */
export function newProblem(
  examined: readonly FileRecord[],
  before: ReadonlyMap<string, FileRecord>,
  fresh: boolean,
): DaemonError | undefined {
  const bad = examined.filter((record) => record.problem && (fresh || isNews(record, before)));
  return joinErrors(bad.map(({ problem }) => problem!));
}

/** Whether a record's problem is not the one that it had before. */
export function isNews({ member, problem, version }: FileRecord, before: ReadonlyMap<string, FileRecord>): boolean {
  const was = before.get(member.path);
  return problem !== undefined && (!was?.problem || was.version !== version);
}
