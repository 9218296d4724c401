import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../../client/connect.ts';
import { ClientError } from '../../../client/errors.ts';
import type { Config, Snapshot } from '../../../client/types.ts';
import { type Content, contentOf, type Part, type Settings } from './content.ts';
import { inside } from './fast-timers.ts';
import { times } from './model-daemon.ts';

/** What a program does about contents, as the world wants it. */
export interface ProgramParts {
  readonly name: string;
  readonly view: string;
  readonly socket: string;
  readonly isVerifying: boolean;
  readonly verifyMs: number;
  readonly handlerMs: number;
  /** Whether this program refuses it now, and in which way. */
  readonly refuses: (program: Program, content: Content, how: 'verify' | 'handler') => boolean;
  readonly onVerdict: (program: Program, content: Content, isAccepted: boolean) => void;
  readonly onHeardClosed: (program: Program) => void;
  readonly onHandlerRefusal: (program: Program, content: Content) => void;
  readonly onAccepted: (
    program: Program,
    snapshot: Snapshot<Settings>,
    previous: Snapshot<Settings> | undefined,
  ) => void;
}

/** A program of the model: what it accepts is judged at once, and its connection can be cut or frozen. */
export class Program {
  readonly parts: ProgramParts;
  config: Config<Settings> | undefined;
  isFrozen = false;
  /** Not to be counted on by the daemon: the model has cut it off, and it has not come back yet. */
  isAway = false;
  /** The time, on the real clock, until when the daemon may think that it was frozen or cut off. */
  disturbedAt = Number.NEGATIVE_INFINITY;
  #isClosed = false;
  readonly #sockets = new Set<Socket>();
  readonly #held: (() => void)[] = [];
  /** Connections are refused while the daemon is thought to be dead. */
  isBarred = false;

  constructor(parts: ProgramParts) {
    this.parts = parts;
  }

  get name(): string {
    return this.parts.name;
  }

  get isOpen(): boolean {
    return this.config !== undefined;
  }

  get isLive(): boolean {
    return this.config?.link.kind === 'live';
  }

  get content(): Content {
    return this.config ? contentOf(this.config.settings) : {};
  }

  sees(part: Part): boolean {
    return this.parts.view === 'default' || part !== 'first';
  }

  /** False when it rejects what it is given first. */
  async open(): Promise<boolean> {
    const { name, socket, isVerifying } = this.parts;
    const options = { socket, name, ...(isVerifying && { verify: (next: object) => this.#verify(next) }) };
    try {
      const config = await inside({ times, onSocket: (added) => this.#add(added) }, () =>
        connect<Settings>({ timeoutMs: 20_000 * times, ...options }),
      );
      this.isAway = false;
      this.config = config;
      let previous = config.snapshot;
      this.parts.onAccepted(this, previous, undefined);
      config.watch((next) => this.#handle(next));
      config.on('change', (snapshot) => {
        if (this.#isClosed) this.parts.onHeardClosed(this);
        this.parts.onAccepted(this, snapshot, previous);
        previous = snapshot;
      });
      config.on('link', ({ kind }) => {
        if (kind === 'live') this.isAway = false;
      });
      return true;
    } catch (error) {
      if (error instanceof ClientError && error.code === 'rejected') return false;
      throw error;
    }
  }

  async close(): Promise<void> {
    this.thaw();
    const { config } = this;
    this.config = undefined;
    await config?.close();
    this.#isClosed = config !== undefined;
  }

  /** Its connection is lost, and for a time in real milliseconds it cannot come back. */
  cut(forMs = 0): void {
    if (forMs > 0) {
      this.isBarred = true;
      setTimeout(() => {
        this.isBarred = false;
      }, forMs);
    }
    this.disturbedAt = performance.now();
    this.isAway = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** As SIGSTOP: it hears and says nothing, and its connection stays. */
  freeze(): void {
    if (this.isFrozen) return;
    this.isFrozen = true;
    this.disturbedAt = performance.now();
    for (const socket of this.#sockets) this.#freeze(socket);
  }

  thaw(): void {
    if (!this.isFrozen) return;
    this.isFrozen = false;
    this.disturbedAt = performance.now();
    for (const thaw of this.#held.splice(0)) thaw();
  }

  #freeze(socket: Socket): void {
    const { write } = socket;
    const held: unknown[][] = [];
    socket.pause();
    socket.write = ((...args: unknown[]) => void held.push(args)) as never;
    this.#held.push(() => {
      socket.write = write;
      if (socket.destroyed) return;
      for (const args of held) write.apply(socket, args as never);
      socket.resume();
    });
  }

  #add(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    if (this.isBarred) setImmediate(() => socket.destroy());
    if (this.isFrozen) this.#freeze(socket);
  }

  async #verify(next: object): Promise<void> {
    const content = contentOf(next);
    if (this.parts.verifyMs > 0) await sleep(this.parts.verifyMs);
    const isRefused = this.parts.refuses(this, content, 'verify');
    this.parts.onVerdict(this, content, !isRefused);
    if (isRefused) throw new Error('these settings will not do');
  }

  async #handle(next: object): Promise<void> {
    const content = contentOf(next);
    if (this.parts.handlerMs > 0) await sleep(this.parts.handlerMs);
    if (!this.parts.refuses(this, content, 'handler')) return;
    this.parts.onHandlerRefusal(this, content);
    throw new Error('these settings do not work');
  }
}
