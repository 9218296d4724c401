import type { Nack } from '../../schemas/wire.ts';

/** What happens in a session that others want to know of. */
export type SessionEvent =
  | { readonly kind: 'joined' }
  | { readonly kind: 'sent'; readonly revision: number }
  /** A revision was overtaken by a newer one before it could be sent. */
  | { readonly kind: 'conflated'; readonly revision: number }
  | { readonly kind: 'accepted'; readonly revision: number; readonly applyMs: number; readonly waitedMs: number }
  | { readonly kind: 'rejected'; readonly nack: Nack }
  /** What was sent will not be answered any more. */
  | { readonly kind: 'unanswered'; readonly revision: number }
  | { readonly kind: 'reported'; readonly code: string; readonly message: string; readonly recovered: boolean }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string }
  /** It holds a higher revision of this epoch than there is. */
  | { readonly kind: 'ahead'; readonly revision: number }
  /** It has let two verifications in a row pass without an answer: changes do not wait for it until it answers again. */
  | { readonly kind: 'vote'; readonly isLost: boolean }
  /** `goodbye`: the program said so; `dismissed`: the daemon did, at a stop; `lost`: neither, or it was refused. */
  | { readonly kind: 'left'; readonly how: 'goodbye' | 'dismissed' | 'lost' };

/** A failure that a program noticed after it had accepted. */
export interface ReportedFailure {
  readonly code: string;
  readonly message: string;
  /** ISO 8601. */
  readonly since: string;
}
