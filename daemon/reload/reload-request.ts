import type { Actor } from '../model/snapshot.ts';
import type { LoadRequest } from '../sources/source.ts';
import type { Licence } from './commit-gate.ts';

/** What one reload reads, and what it may do. */
export interface Request extends LoadRequest, Licence {
  readonly acceptMissing: boolean;
  /** What programs refused is tried again, whatever they said. */
  readonly triesRefused: boolean;
  /** Called when it waits for programs, and others may pass. */
  readonly onAside?: () => void;
}

/** What an operator allows a reload to do. */
export interface ReloadRequest {
  /** Most of the settings may go. */
  readonly acceptMissing?: boolean | undefined;
  /** Programs with `verify` are not asked. */
  readonly noVerify?: boolean | undefined;
}

/** How long a file may be missing or half-written. */
const graceMs = 1_000;
/** How long an automatic reload waits for a source that does not answer: it holds up the others. */
const patienceMs = 2_000;
/** ... and one that somebody asked for. */
const maxAskedPatienceMs = 10_000;
/** ... and a start that has something to serve meanwhile. */
const restoredPatienceMs = 800;

/** A reload of what was hinted. */
export function hintedRequest(more: Partial<Request> = {}): Request {
  const licence = { acceptMissing: false, endsPin: false, noVerify: false, triesRefused: false };
  return { fresh: false, acceptGone: false, ...licence, graceMs, patienceMs, ...more };
}

/** How long a reload that somebody asked for waits for a source. */
export function askedPatienceMs(deadlineMs: number): number {
  return Math.min(maxAskedPatienceMs, deadlineMs * 0.9);
}

/** A reload of everything, past every cache. `isServing`: something is served already. */
export function fullRequest(actor: Actor, asked: ReloadRequest, deadlineMs: number, isServing: boolean): Request {
  const { acceptMissing = false, noVerify = false } = asked;
  const isRestoring = actor.cause === 'start' && isServing;
  const isOperator = isByOperator(actor);
  const request = hintedRequest({
    fresh: true,
    acceptGone: actor.cause !== 'client' && !isRestoring,
    acceptMissing,
    noVerify,
    endsPin: isOperator,
    triesRefused: isOperator,
  });
  if (isRestoring) return { ...request, patienceMs: restoredPatienceMs };
  if (actor.cause !== 'start') return { ...request, graceMs: 0, patienceMs: askedPatienceMs(deadlineMs) };
  // A source that does not answer says so itself, and better than the deadline can.
  return { ...request, patienceMs: deadlineMs * 0.9 };
}

export function isByOperator({ cause }: Actor): boolean {
  return cause === 'operator' || cause === 'signal';
}

/** The same for reloads that may do the same. */
export function nameOf(actor: Actor, { acceptMissing = false, noVerify = false }: ReloadRequest): string {
  return `${isByOperator(actor) ? 'operator' : actor.cause} ${acceptMissing} ${noVerify}`;
}
