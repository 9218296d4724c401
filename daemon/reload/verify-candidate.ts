import type { Issue } from '../../schemas/errors.ts';
import type { Rejecting } from '../../schemas/wire.ts';
import { DaemonError } from '../model/errors.ts';
import type { Snapshot } from '../model/snapshot.ts';

/** A program that was asked and has said nothing: in time, or at all any more. */
export interface Silent {
  readonly name: string;
  readonly pid: number;
  /** `absent`: it refused the same before, and is not connected now. */
  readonly why: 'timeout' | 'lost' | 'absent';
}

/** What the programs say of a candidate that they were to try. */
export interface Trial {
  /** How many were asked. */
  readonly asked: number;
  readonly rejectedBy: readonly Rejecting[];
  readonly silent: readonly Silent[];
  /** All of those, as `view/name`. */
  readonly refusers: readonly string[];
}

/** Has every program with `verify` try a candidate; none of them keeps it. `refusers`, as `view/name`, refused it before. */
export type TryOut = (candidate: Snapshot, signal: AbortSignal, refusers: readonly string[]) => Promise<Trial>;

/** Throws `subscriber_rejected` or `subscriber_silent`, naming who and why: one refuses a candidate for all. */
export function judgeTrial({ rejectedBy, silent, refusers }: Trial): void {
  const [rejecting] = rejectedBy;
  if (rejecting) {
    const more = rejectedBy.length > 1 ? `, and ${rejectedBy.length - 1} more do` : '';
    const what = `${named(rejecting)} rejects it: ${rejecting.message}${more}`;
    const issues = rejectedBy.flatMap(issuesOf);
    throw new DaemonError('subscriber_rejected', what, { rejectedBy, issues, refusers });
  }
  const [first] = silent;
  if (!first) return;
  const more = silent.length > 1 ? `, nor do ${silent.length - 1} more` : '';
  const how = howSilent[first.why];
  const facts = { mend: 'see the program; rollout.verifyTimeout is how long it may take' };
  throw new DaemonError('subscriber_silent', `${named(first)} ${how}${more}`, {
    ...facts,
    issues: silent.map((who) => ({ path: '', keyword: 'verify', message: `${named(who)}: ${who.why}` })),
    refusers,
  });
}

const howSilent = {
  timeout: 'does not say in time whether it can use it',
  lost: 'was lost while it tried it',
  absent: 'rejected it before and is not connected now',
} as const;

function issuesOf(who: Rejecting): Issue[] {
  const message = `${named(who)} rejects it: ${who.message}`;
  const paths = who.paths.length > 0 ? who.paths : [''];
  return paths.map((path) => ({ path, keyword: 'verify', message }));
}

function named({ name, pid }: { readonly name: string; readonly pid: number }): string {
  return (name || 'a program') + (pid > 0 ? ` (pid ${pid})` : '');
}
