import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { promisify } from 'node:util';

/** What runs inside of {@link inside}: its timers are fast, and its sockets are handed over. */
export interface Inside {
  /** How many times as fast. */
  readonly times: number;
  readonly onSocket: (socket: Socket) => void;
}

const store = new AsyncLocalStorage<Inside>();

/** Runs a function whose timers, and those of everything that it sets going, fire sooner. Needs {@link installFastTimers}. */
export function inside<T>(inner: Inside, run: () => T): T {
  return store.run(inner, run);
}

/** Makes {@link inside} work: the client has no clock that could be replaced. Returns what takes it back. */
export function installFastTimers(): () => void {
  const { setTimeout: timeout, setInterval: interval } = globalThis;
  const fast = <Timer extends typeof timeout | typeof interval>(real: Timer) =>
    Object.assign(
      (callback: () => void, ms = 0, ...args: []) => real(callback, ms / (store.getStore()?.times ?? 1), ...args),
      { [promisify.custom]: real[promisify.custom as never] },
    ) as unknown as Timer;
  globalThis.setTimeout = fast(timeout);
  globalThis.setInterval = fast(interval);
  const onSocket = (message: unknown) => store.getStore()?.onSocket((message as { socket: Socket }).socket);
  subscribe('net.client.socket', onSocket);
  return () => {
    globalThis.setTimeout = timeout;
    globalThis.setInterval = interval;
    unsubscribe('net.client.socket', onSocket);
  };
}
