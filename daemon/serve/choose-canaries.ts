import type { CanaryOptions } from '../ops/view-options.ts';
import type { Session } from './session.ts';

/** The programs that run a revision first: those that the options name, and their share of all that it concerns. */
export function chooseCanaries(
  concerned: readonly Session[],
  canary: CanaryOptions,
  triedBefore: ReadonlySet<string>,
): readonly Session[] {
  const tries = ({ isCanary, voter }: Session) => Number(isCanary || triedBefore.has(voter));
  const isNamed = ({ name }: Session) => canary.subscribers.includes(name);
  const named = concerned.filter(isNamed);
  const count = Math.max(Math.ceil(concerned.length * canary.share), named.length > 0 ? 0 : 1);
  // Who tries the one before tries this one too: going back and forth would help nobody.
  const others = concerned.filter((session) => !isNamed(session)).sort((a, b) => tries(b) - tries(a));
  return [...named, ...others.slice(0, Math.max(0, count - named.length))];
}
