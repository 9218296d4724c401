import type { ToDaemon } from '../schemas/wire.ts';

/** One connection to a daemon. */
export interface Connection {
  send<Type extends keyof ToDaemon>(type: Type, data: ToDaemon[Type]): void;
  /** Sends what is written, then closes; `onClose` follows. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
  /** From now on frames of up to this many bytes are taken. */
  setFrameLimit(bytes: number): void;
  /** Whether it keeps the process alive; it does at first. */
  hold(isHeld: boolean): void;
}

export interface ConnectionHandlers {
  onOpen(): void;
  onFrame(type: string, data: unknown): void;
  /** Once, whether the connection was ever open or not. */
  onClose(error: Error | undefined): void;
}

/** How a program reaches a daemon. */
export type Transport = (handlers: ConnectionHandlers) => Connection;
