import type { CanaryOptions } from '../ops/view-options.ts';
import type { Session } from './session.ts';

/**
 * The programs that run a revision first: those that the options name, and their share of all that it concerns. Who ran
 * the one before (`triedBefore`, as `view/name`, or still is a canary) runs this one too: going back and forth would help
 * nobody.
 */
export function chooseCanaries(
  concerned: readonly Session[],
  canary: CanaryOptions,
  triedBefore: ReadonlySet<string>,
): readonly Session[] {
  const tries = ({ isCanary, voter }: Session) => Number(isCanary || triedBefore.has(voter));
  const named = concerned.filter((session) => isNamed(session, canary));
  const count = Math.max(Math.ceil(concerned.length * canary.share), named.length > 0 ? 0 : 1);
  const others = concerned.filter((session) => !isNamed(session, canary)).sort((a, b) => tries(b) - tries(a));
  return [...named, ...others.slice(0, Math.max(0, count - named.length))];
}

/** Whether the options name a program as one of the first: as `view/name`, or by its name alone in the default view. */
export function isNamed({ name, view, voter }: Session, { subscribers }: CanaryOptions): boolean {
  return subscribers.includes(voter) || (view.name === 'default' && subscribers.includes(name));
}
