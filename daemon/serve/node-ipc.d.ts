// What is used of node-ipc 14, which ships no types.
declare module 'node-ipc' {
  import type { Server as NetServer, Socket } from 'node:net';

  export interface IpcServer {
    readonly server: NetServer;
    on(event: string, listener: (...args: never[]) => void): this;
    start(): void;
    stop(): void;
    write(socket: Socket, frame: string | Buffer): boolean;
    /** Ends what limits the time of an unfinished frame. */
    clearMessageTimer(socket: Socket): void;
  }

  export interface IpcConfig {
    silent: boolean;
    unlink: boolean;
    maxConnections: number;
    maxMessageSize: number;
    maxPendingBytes: number;
    messageTimeout: number;
    retry: number;
    parser: unknown;
  }

  export class IPCModule {
    readonly config: IpcConfig;
    readonly server: IpcServer;
    readonly of: Record<
      string,
      { on(event: string, listener: (data: never) => void): void; emit(type: string, data: unknown): void }
    >;
    serve(path: string, onStart: () => void): void;
    connectTo(id: string, path: string, onConnecting?: () => void): void;
    disconnect(id: string): void;
  }

  export class IPCProtocolError extends Error {
    constructor(code: string, message: string);
  }

  export class GuardedParser {
    constructor(config: IpcConfig);
  }
}
