import { setTimeout as sleep } from 'node:timers/promises';

/** Waits for a condition, and fails with its words when it does not come true. */
export async function until(
  what: string,
  condition: () => unknown | Promise<unknown>,
  withinMs = 10_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  let last: unknown;
  while (performance.now() < deadline) {
    try {
      if (await condition()) return;
    } catch (error) {
      last = error;
    }
    await sleep(5);
  }
  throw new Error(`waited ${withinMs} ms in vain until ${what}`, { cause: last });
}

/** Lets real time pass where the point of the test is that nothing happens in it. */
export function quietFor(ms: number): Promise<void> {
  return sleep(ms);
}
