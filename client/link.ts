import type { JsonValue } from '../schemas/json.ts';
import {
  FrameError,
  protocolVersion,
  type Report,
  type RequestFields,
  type RequestKind,
  type Response,
  silenceMs,
  type Welcome,
  type WireError,
} from '../schemas/wire.ts';
import { isUsable } from './check-frame.ts';
import { ClientError } from './errors.ts';
import { fit } from './fit-frame.ts';
import { Inbox, type InboxParts } from './inbox.ts';
import { Reconnect } from './reconnect.ts';
import { Requests } from './requests.ts';
import type { Connection, Transport } from './transport.ts';

export interface LinkParts extends Pick<InboxParts, 'adopt' | 'onRejected' | 'tryOut'> {
  readonly transport: Transport;
  /** Names what is at the daemon's place now; empty when nothing is. */
  readonly landmark: () => string;
  readonly name: string;
  readonly capabilities: readonly string[];
  readonly onLive: () => void;
  readonly onStale: (reason: string) => void;
  /** The daemon or the system said that coming back at once is of no use. */
  readonly onRefused: (error: ClientError) => void;
}

const welcomeWithinMs = 5_000;
/** After a refusal that will not change by itself. */
const refusedRetryMs = 60_000;
/** How long the daemon may take to close the connection after a goodbye. */
const goodbyeWithinMs = 1_000;
/** How many reported failures are kept, the newest ones, to report them again after a reconnect. */
const maxFailures = 100;

/**
 * Keeps one session with the daemon, for ever: connects, says hello with what is held, takes snapshots one at a time,
 * answers each, notices silence, and comes back with jitter. What arrives while handlers run waits in one slot.
 */
export class LinkToDaemon {
  readonly #parts: LinkParts;
  readonly #inbox: Inbox;
  /** What this program has reported and not reported as recovered, by code. */
  readonly #failures = new Map<string, Report>();
  readonly #reconnect: Reconnect;
  readonly #requests = new Requests((request) => this.#connection?.send('request', request));
  #connection: Connection | undefined;
  #isClosed = false;
  /** The socket is connected and trusted, and hello was sent. */
  #isOpen = false;
  #isLive = false;
  #mayRotate = false;
  #retryAfterMs: number | undefined;
  #staleReason: string | undefined;
  #watchdog: NodeJS.Timeout | undefined;

  constructor(parts: LinkParts) {
    this.#parts = parts;
    this.#reconnect = new Reconnect({ open: () => this.open(), landmark: parts.landmark });
    this.#inbox = new Inbox({
      ...parts,
      onAnswered: (connection, isNew) => this.#onAnswered(connection, isNew),
    });
  }

  open(): void {
    this.#isOpen = false;
    this.#staleReason = undefined;
    const connection: Connection = this.#parts.transport({
      onOpen: () => connection === this.#connection && !this.#isClosed && this.#hello(connection),
      onFrame: (type, data) => connection === this.#connection && this.#onFrame(type, data),
      onClose: (error) => connection === this.#connection && this.#onClose(error),
    });
    this.#connection = connection;
    connection.hold(this.#reconnect.isHeld);
    this.#watch(welcomeWithinMs);
  }

  /** From now on neither the connection nor waiting for one keeps the process alive; an open request does. */
  release(): void {
    this.#reconnect.isHeld = false;
    this.#connection?.hold(false);
    this.#watchdog?.unref();
  }

  /** Programs of this view may rotate secrets. */
  get mayRotate(): boolean {
    return this.#mayRotate;
  }

  request(kind: RequestKind, fields: RequestFields = {}): Promise<JsonValue> {
    if (this.#isClosed) return Promise.reject(new ClientError('closed', 'the config is closed'));
    if (!this.#isLive)
      return Promise.reject(
        new ClientError('not_connected', 'the daemon is not connected now; try again when the link is live'),
      );
    return this.#requests.add(kind, fields);
  }

  report(given: Report): void {
    const report = fit('report', given);
    this.#failures.delete(report.code);
    if (!report.recovered) this.#failures.set(report.code, report);
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > maxFailures) this.#failures.delete(oldest!);
    if (this.#isLive) this.#connection?.send('report', report);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#watchdog);
    this.#reconnect.stop();
    this.#inbox.close();
    this.#requests.failAll(new ClientError('closed', 'the config was closed'));
    const connection = this.#connection;
    if (!this.#isOpen) return connection?.destroy();
    connection?.send('goodbye', { code: 'closed' });
    connection?.end();
    setTimeout(() => connection?.destroy(), goodbyeWithinMs).unref();
  }

  #hello(connection: Connection): void {
    this.#isOpen = true;
    const { name, capabilities } = this.#parts;
    const last = this.#inbox.position;
    connection.send('hello', {
      protocol: protocolVersion,
      name,
      pid: process.pid,
      library: 'hotconf-node',
      capabilities,
      ...(last && { last }),
    });
  }

  #onFrame(type: string, data: unknown): void {
    if (this.#isClosed) return;
    if (!isUsable(type, data)) throw new FrameError(`the daemon sent a frame that breaks the protocol (${type})`);
    this.#watchdog?.refresh();
    if (type === 'welcome') this.#onWelcome(data as Welcome);
    else if (type === 'snapshot' || type === 'patch' || type === 'verify')
      this.#inbox.take(type, data, this.#connection!);
    else if (type === 'ping') this.#onPing((data as { revision: number }).revision);
    else if (type === 'response') this.#requests.settle(data as Response);
    else if (type === 'error') this.#onError(data as WireError);
    else if (type === 'goodbye') this.#retryAfterMs = (data as { retryAfterMs?: number }).retryAfterMs;
  }

  /** The daemon says what it has sent last: when that has not come, it was lost on the way. */
  #onPing(revision: number): void {
    this.#connection?.send('pong', { revision: this.#inbox.position?.revision ?? 0 });
    if (revision > this.#inbox.cameRevision) this.#connection?.send('resync', { reason: 'a push was lost' });
  }

  #onWelcome({ protocol, resume, limits, rotation }: Welcome): void {
    this.#mayRotate = rotation === true;
    if (protocol !== protocolVersion)
      return this.#refuse(
        new ClientError(
          'protocol',
          `the daemon speaks protocol ${protocol}, this library ${protocolVersion}; bring both to one version`,
        ),
      );
    this.#watch(silenceMs);
    this.#inbox.verifyMs = limits.verifyMs;
    this.#connection?.setFrameLimit(limits.outboundFrame);
    this.#inbox.connected(resume);
    if (resume === 'same') this.#setLive();
  }

  #setLive(): void {
    this.#reconnect.live();
    this.#staleReason = undefined;
    if (this.#isLive) return;
    this.#isLive = true;
    for (const failure of this.#failures.values()) this.#connection?.send('report', failure);
    this.#parts.onLive();
  }

  #onAnswered(connection: Connection, isNew: boolean): void {
    if (this.#isClosed) return;
    if (connection === this.#connection) this.#setLive();
    // The answer was lost with its connection, and the hello of this one named the revision that was held before.
    else if (isNew && this.#isOpen) this.#connection?.send('resync', { reason: 'something else is held by now' });
  }

  #onError({ code, message, fatal, retryAfterMs }: WireError): void {
    this.#retryAfterMs = retryAfterMs;
    this.#staleReason = `the daemon ends the connection: ${message}`;
    const kind = code === 'protocol_unsupported' ? 'protocol' : 'refused';
    if (fatal) this.#refuse(new ClientError(kind, `the daemon refuses this program: ${message}`));
  }

  #refuse(error: ClientError): void {
    this.#retryAfterMs = refusedRetryMs;
    this.#staleReason = error.message;
    this.#parts.onRefused(error);
    this.#connection?.destroy();
  }

  #onClose(error: Error | undefined): void {
    clearTimeout(this.#watchdog);
    this.#isOpen = this.#isLive = false;
    this.#inbox.lost();
    const lost = 'the connection to the daemon was lost before it answered';
    this.#requests.failAll(new ClientError('not_connected', lost));
    if (this.#isClosed) return;
    const refusal = error instanceof ClientError || error instanceof FrameError ? error.message : undefined;
    if (error instanceof ClientError) this.#parts.onRefused(error);
    const code = error instanceof ClientError ? undefined : (error as NodeJS.ErrnoException | undefined)?.code;
    if (code === 'EACCES' || code === 'EPERM')
      this.#parts.onRefused(
        new ClientError('refused', 'this user may not open the socket; see the mode and group of the view', error),
      );
    this.#reconnect.lost(this.#retryAfterMs ?? 0);
    this.#retryAfterMs = undefined;
    this.#parts.onStale(
      this.#staleReason ?? (code ? `the daemon is not reachable: ${code}` : (refusal ?? 'the connection was lost')),
    );
  }

  /** Silence for this long ends the connection: a daemon that lives says something every 15 seconds. */
  #watch(withinMs: number): void {
    clearTimeout(this.#watchdog);
    if (this.#isClosed) return;
    const connection = this.#connection;
    this.#watchdog = setTimeout(() => {
      this.#staleReason = `nothing was heard for ${withinMs / 1_000} s`;
      connection?.destroy();
    }, withinMs);
    if (!this.#reconnect.isHeld) this.#watchdog.unref();
  }
}
