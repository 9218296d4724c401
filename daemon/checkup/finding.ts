import { DaemonError } from '../model/errors.ts';

/** What one check has found. Holds no secret value. */
export interface Finding {
  /** What was looked at: `options`, `inotify`, `secret db`, ... */
  readonly check: string;
  readonly verdict: 'ok' | 'warn' | 'fail';
  readonly message: string;
  /** What to do about it. */
  readonly mend?: string;
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

/** What a check threw: a `DaemonError` says itself what is wrong and what to do. */
export function failed(check: string, error: unknown, verdict: 'warn' | 'fail' = 'fail'): Finding {
  if (!(error instanceof DaemonError)) throw error;
  const { mend } = error.facts;
  const suffix = mend ? ` (${mend})` : '';
  const message = error.message.endsWith(suffix)
    ? error.message.slice(0, error.message.length - suffix.length)
    : error.message;
  return { check, verdict, message, ...(mend && { mend }) };
}
