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
  /** `isClean`: it said goodbye, or we did. */
  | { readonly kind: 'left'; readonly isClean: boolean };
