import { DaemonError } from '../model/errors.ts';
import { type Clock, sleep } from '../ops/clock.ts';

/** Waits for a loading until the deadline. Throws `deadline_exceeded`, or `shutting_down` when the signal aborts. */
export async function inTime(
  loading: Promise<void>,
  deadlineMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const done = new AbortController();
  const late = sleep(clock, deadlineMs, AbortSignal.any([signal, done.signal])).then(() => {
    if (done.signal.aborted) return;
    if (signal.aborted) throw new DaemonError('shutting_down', 'the daemon is stopping');
    throw new DaemonError('deadline_exceeded', `the sources were not read within ${deadlineMs} ms`, {
      mend: 'raise reload.deadline, or see which source is slow in `hotconf status`',
    });
  });
  try {
    await Promise.race([loading, late]);
  } finally {
    done.abort();
  }
}
