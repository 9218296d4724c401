import type { Edition } from './edition.ts';
import type { Slot } from './slot.ts';

/**
 * How a program stands to what it is to run. `stale`: it was not heard in time; `pending`, `late`: its answer is
 * outstanding for 10 s, for 30 s.
 */
export type SubscriberState = 'waiting' | 'current' | 'pending' | 'late' | 'rejected' | 'stale';

/** How long a program may work on a snapshot before that is remarkable. */
export const pendingAfterMs = 10_000;
const lateAfterMs = 30_000;

/** `nowMs`: on the monotonic clock. */
export function stateOf(slot: Slot, edition: Edition | undefined, isWeak: boolean, nowMs: number): SubscriberState {
  const { inFlight, rejection } = slot;
  if (rejection && rejection.nonce === edition?.nonce) return 'rejected';
  const waitedMs = inFlight ? nowMs - inFlight.sentAt : 0;
  if (waitedMs > lateAfterMs) return 'late';
  if (waitedMs > pendingAfterMs) return 'pending';
  if (isWeak) return 'stale';
  return !inFlight && slot.holds(edition) ? 'current' : 'waiting';
}
