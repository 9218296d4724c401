import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP proxy whose connections can be frozen: they stay open, and nothing passes any more. */
export class Freezer {
  readonly #target: { host: string; port: number };
  readonly #server: Server;
  readonly #pairs = new Set<{ inner: Socket; outer: Socket }>();
  #isFrozen = false;

  private constructor(target: string, server: Server) {
    const [host, port] = target.split(':');
    this.#target = { host: host!, port: Number(port) };
    this.#server = server;
  }

  static async start(target: string): Promise<Freezer> {
    const server = createServer();
    const freezer = new Freezer(target, server);
    server.on('connection', (outer) => freezer.#join(outer));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return freezer;
  }

  get endpoint(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Nothing passes any more, on connections to come neither. */
  freeze(): void {
    this.#isFrozen = true;
    for (const { inner, outer } of this.#pairs) {
      inner.pause().removeAllListeners('data');
      outer.pause().removeAllListeners('data');
    }
  }

  /** Connections to come work; those that are frozen stay so, as behind a firewall that has forgotten them. */
  letNewOnesPass(): void {
    this.#isFrozen = false;
  }

  async stop(): Promise<void> {
    for (const { inner, outer } of this.#pairs) {
      inner.destroy();
      outer.destroy();
    }
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(outer: Socket): void {
    const inner = connect(this.#target);
    const pair = { inner, outer };
    this.#pairs.add(pair);
    if (!this.#isFrozen) {
      outer.on('data', (bytes) => inner.write(bytes));
      inner.on('data', (bytes) => outer.write(bytes));
    }
    for (const [socket, other] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      socket.on('error', () => {});
      socket.on('close', () => {
        other.destroy();
        this.#pairs.delete(pair);
      });
    }
  }
}
