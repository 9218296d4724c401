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
  const isSure = (session: Session) => session.isCanary || isNamed(session, canary);
  const sure = concerned.filter(isSure);
  const count = Math.max(Math.ceil(concerned.length * canary.share), sure.length > 0 ? 0 : 1);
  const tried = ({ voter }: Session) => Number(triedBefore.has(voter));
  const others = concerned.filter((session) => !isSure(session)).sort((a, b) => tried(b) - tried(a));
  return [...sure, ...others.slice(0, Math.max(0, count - sure.length))];
}

/** Whether the options name a program as one of the first: as `view/name`, or by its name alone in the default view. */
export function isNamed({ name, view, voter }: Session, { subscribers }: CanaryOptions): boolean {
  return subscribers.includes(voter) || (view.name === 'default' && subscribers.includes(name));
}
