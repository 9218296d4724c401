import { DaemonError } from '../model/errors.ts';
import { type Clock, sleep } from '../ops/clock.ts';

export interface LoadOnceThereParts {
  readonly load: () => Promise<void>;
  readonly clock: Clock;
  /** How long to wait for a source that cannot be read yet. */
  readonly waitMs: number;
  /** Called with what it waits for, whenever that is something else. */
  readonly onWaiting: (error: DaemonError) => void;
  readonly signal: AbortSignal;
}

const retryMs = 1_000;
/** Failures of a source that may come later: a mount, a network, credentials. */
const mayCome = /^(source_missing|source_unreadable|secret_.*|google_credentials|deadline_exceeded)$/;

/** Loads, and loads again what is not there yet, until the time is over. Throws the last failure. */
export async function loadOnceThere({ load, clock, waitMs, onWaiting, signal }: LoadOnceThereParts): Promise<void> {
  const untilMs = clock.monotonic() + waitMs;
  let before: string | undefined;
  for (;;) {
    try {
      return await load();
    } catch (error) {
      const leftMs = untilMs - clock.monotonic();
      const isComing = error instanceof DaemonError && mayCome.test(error.code);
      if (leftMs <= 0 || !isComing || signal.aborted) throw error;
      if (error.message !== before) onWaiting(error);
      before = error.message;
      await sleep(clock, Math.min(retryMs, leftMs), signal);
    }
  }
}
