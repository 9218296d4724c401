import type { JsonObject } from '../../schemas/json.ts';
import { DaemonError, joinErrors } from '../model/errors.ts';
import type { Member } from './file-set.ts';

/** What is known of one file. `version` and `hash` are of the last reading, `settings` of the last good one. */
export interface FileRecord {
  readonly member: Member;
  version: string;
  hash?: string;
  settings?: JsonObject;
  problem?: DaemonError;
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

/** What was never there cannot be put back, and has left nothing that could be kept. */
export function inPhase(problem: DaemonError, { settings, member }: FileRecord): DaemonError {
  if (problem.code !== 'source_missing' || settings !== undefined) return problem;
  const mend = 'put it there, or say `optional: true` where it may be missing';
  return new DaemonError('source_missing', 'is missing', { subject: member.name, mend });
}

export function onlyComments(subject: string): DaemonError {
  const mend = 'run `hotconf reload` if that is meant';
  return new DaemonError('source_empty', 'holds nothing but comments now; its last values are kept', { subject, mend });
}

/** A problem that was told before blocks nothing again; one that an operator's reload meets is told again. */
export function newProblem(
  examined: readonly FileRecord[],
  before: ReadonlyMap<string, FileRecord>,
  fresh: boolean,
): DaemonError | undefined {
  const bad = examined.filter(({ member, problem, version }) => {
    const was = before.get(member.path);
    return problem && (fresh || !was?.problem || was.version !== version);
  });
  return joinErrors(bad.map(({ problem }) => problem!));
}
