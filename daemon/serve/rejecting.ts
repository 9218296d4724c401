import type { Nack, Rejecting } from '../../schemas/wire.ts';
import type { Session } from './session.ts';

/** A program that rejects something, as it is reported. */
export function rejectingOf(
  { name, pid }: Session,
  { code, paths, message }: Pick<Nack, 'code' | 'paths' | 'message'>,
): Rejecting {
  return { name, pid, code, paths, message };
}
