import { type Clock, systemClock } from '../../daemon/ops/clock.ts';

/** Real time, a number of times as fast: for faults that take a minute to show. */
export function fastClock(times: number): Clock {
  const startedAt = Date.now();
  return {
    wall: () => startedAt + (Date.now() - startedAt) * times,
    monotonic: () => systemClock.monotonic() * times,
    after: (ms, callback) => systemClock.after(ms / times, callback),
  };
}
