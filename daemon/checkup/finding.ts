import type { DaemonErrorCode } from '../../schemas/errors.ts';
import { DaemonError, systemCode } from '../model/errors.ts';

/** What one check has found. Holds no secret value. */
export interface Finding {
  /** What was looked at: `options`, `inotify`, `secret db`, ... */
  readonly check: string;
  readonly verdict: 'ok' | 'warn' | 'fail';
  readonly message: string;
  /** What to do about it. */
  readonly mend?: string;
  /** Of the error that it is about. */
  readonly code?: DaemonErrorCode;
}

export const ok = (check: string, message: string): Finding => ({ check, verdict: 'ok', message });

export const warn = (check: string, message: string, mend: string): Finding => ({
  check,
  verdict: 'warn',
  message,
  mend,
});

export const fail = (check: string, message: string, mend: string): Finding => ({
  check,
  verdict: 'fail',
  message,
  mend,
});

/** What a check threw: a `DaemonError` says itself what is wrong and what to do, a system error only what. */
export function failed(check: string, error: unknown, verdict: 'warn' | 'fail' = 'fail'): Finding {
  const code = systemCode(error);
  if (!(error instanceof DaemonError) && code === undefined) throw error;
  if (!(error instanceof DaemonError))
    return fail(check, `cannot be looked at: ${code}`, 'run it as the user that the daemon runs as');
  const { mend } = error.facts;
  const suffix = mend ? ` (${mend})` : '';
  const message = error.message.endsWith(suffix)
    ? error.message.slice(0, error.message.length - suffix.length)
    : error.message;
  return { check, verdict, message, ...(mend && { mend }), code: error.code };
}

/** Runs a check; what it cannot look at is a finding, too. */
export function look(check: string, act: () => Finding | readonly Finding[]): readonly Finding[] {
  try {
    return [act()].flat();
  } catch (error) {
    return [failed(check, error)];
  }
}
