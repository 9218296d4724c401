import type { Issue } from '../../schemas/errors.ts';
import type { JsonObject } from '../../schemas/json.ts';
import type { Rejecting } from '../../schemas/wire.ts';
import { DaemonError } from '../model/errors.ts';
import type { LayerPart } from '../model/layer.ts';
import { overlayParts, partKey, settingsByKey } from '../model/parts.ts';
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

/** The programs that try candidates. */
export interface Voters {
  /**
   * Has every program with `verify` try a candidate, where its view shows a change; none of them keeps it. `refusers`, as
   * `view/name`, refused it before. What a program said of the same content since `since` (monotonic clock) counts.
   */
  tryOut(candidate: Snapshot, signal: AbortSignal, refusers: readonly string[], since?: number): Promise<Trial>;
  /** The names of the views whose programs {@link tryOut} would wait for. */
  viewsAsked(candidate: Snapshot): readonly string[];
  /** Whether a view shows any difference between two contents of a part. */
  isShown(view: string, before: JsonObject, after: JsonObject): boolean;
}

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

/**
 * The parts as far as a refusal concerns them: those in which the views of the refusing programs (`view/name`) show nothing
 * new are as in `base`, for a program has no say in what its view does not show.
 */
export function concernedParts(
  parts: readonly LayerPart[],
  base: readonly LayerPart[],
  refusers: readonly string[],
  voters: Pick<Voters, 'isShown'>,
): readonly LayerPart[] {
  const views = [...new Set(refusers.map((voter) => voter.slice(0, voter.indexOf('/'))))];
  const [before, after] = [settingsByKey(base), settingsByKey(parts)];
  return overlayParts(base, parts, (part) => {
    const [was, is] = [before, after].map((settings) => settings.get(partKey(part)) ?? {});
    return views.some((view) => voters.isShown(view, was!, is!));
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
