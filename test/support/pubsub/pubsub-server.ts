/** A Pub/Sub on this machine: the official emulator, or the stand-in where that is not installed. */
export interface PubsubServer {
  readonly kind: 'emulator' | 'stand-in';
  /** `host:port`, gRPC in plain text. */
  readonly endpoint: string;
  /** Ends it at once, as a crash would; its topics and subscriptions are forgotten. */
  stop(): Promise<void>;
}
