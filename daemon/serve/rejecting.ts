import type { Nack, Rejecting } from '../../schemas/wire.ts';
import type { Session } from './session.ts';

/** How the programs took a revision. */
export interface Answers {
  readonly rejectedBy: readonly Rejecting[];
  /** Names of those that have not answered in time. */
  readonly unanswered: readonly string[];
}

/** A program that rejects something, as it is reported. */
export function rejectingOf(
  { name, pid }: Session,
  { code, paths, message }: Pick<Nack, 'code' | 'paths' | 'message'>,
): Rejecting {
  return { name, pid, code, paths, message };
}
