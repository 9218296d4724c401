/** The only way to time in the daemon. The fake twin is in `test/support/fake-clock.ts`. */
export interface Clock {
  /** Wall time in milliseconds since 1970. May jump; only for showing. */
  wall(): number;
  /** Milliseconds that only grow; for every duration and deadline. */
  monotonic(): number;
  /** Calls back once after a time. The returned function takes it back. */
  after(ms: number, callback: () => void): () => void;
}

const longestTimerMs = 2 ** 31 - 1;

/** Real time. Its timers keep no process alive. */
export const systemClock: Clock = {
  wall: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, callback) {
    let timer: NodeJS.Timeout;
    const wait = (left: number) => {
      // A longer timer would fire at once.
      timer = setTimeout(
        left > longestTimerMs ? () => wait(left - longestTimerMs) : callback,
        Math.min(left, longestTimerMs),
      );
      timer.unref();
    };
    wait(ms);
    return () => clearTimeout(timer);
  },
};

/** Resolves after a time, or at once when the signal aborts; an abort is not a failure. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      cancel();
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const cancel = clock.after(ms, end);
    signal?.addEventListener('abort', end, { once: true });
  });
}

/** The wall time as ISO 8601. */
export function timestamp(clock: Clock): string {
  return new Date(clock.wall()).toISOString();
}
