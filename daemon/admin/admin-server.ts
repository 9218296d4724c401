import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { DaemonError } from '../model/errors.ts';
import type { Happenings, Operator } from '../observe/happenings.ts';
import type { Meters } from '../observe/meters.ts';
import { Budget } from '../ops/budget.ts';
import type { Clock } from '../ops/clock.ts';
import type { Endpoint } from '../ops/gcp-options.ts';
import type { Log } from '../ops/log.ts';
import type { Options } from '../ops/options.ts';
import type { Redaction } from '../ops/redaction.ts';
import { prepareRuntimeFolder } from '../ops/runtime-folder.ts';
import { SocketFile } from '../ops/socket-file.ts';
import { adminSocket } from '../ops/socket-paths.ts';
import type { PeerOf } from '../serve/peer.ts';
import { type ChangeRoutesParts, changeRoutes } from './change-routes.ts';
import { type Gate, OpenGate, type Refusal, SocketGate, TokenGate } from './gate.ts';
import { createHttpApp } from './http-app.ts';
import { LiveFeed } from './live-feed.ts';
import { metricsRoutes, readRoutes } from './read-routes.ts';
import { ReloadLimit } from './reload-limit.ts';
import { TokenBook } from './token-book.ts';

export interface AdminServerParts extends Omit<ChangeRoutesParts, 'limit'> {
  readonly options: Options;
  readonly meters: Meters;
  readonly happenings: Happenings;
  readonly redaction: Redaction;
  readonly peerOf: PeerOf;
  /** Why a token file cannot be used; `undefined` when all can be. */
  readonly onTokenProblem: (problem: string | undefined) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** Lines of the log for each face and caller; whoever knocks on and on must not fill it. The rest is counted in the next one. */
const refusalsAMinute = 300;

/**
 * The operator's HTTP: on a Unix socket of mode 0600, where whoever may open it may use it, and where the options say so
 * on loopback TCP, with tokens. Both have the same routes, and limits of their own: who exhausts one leaves the other.
 */
export class AdminServer {
  readonly file: SocketFile;
  readonly #parts: AdminServerParts;
  readonly #feeds: LiveFeed[] = [];
  readonly #refusals: Budget;
  readonly #local: FastifyInstance;
  readonly #tcp: FastifyInstance | undefined;
  readonly #metrics: FastifyInstance | undefined;
  readonly #tokens: TokenBook | undefined;

  constructor(parts: AdminServerParts) {
    const { options, peerOf, clock, redaction, onTokenProblem } = parts;
    this.#parts = parts;
    this.#refusals = new Budget(clock, refusalsAMinute);
    const limit = new ReloadLimit(options.admin.rateLimit);
    const routes = (limited: ReloadLimit | undefined) => (app: FastifyInstance) => {
      const feed = new LiveFeed({ clock, clean: (value) => redaction.cleanValue(value) });
      this.#feeds.push(feed);
      readRoutes(app, { ...parts, feed });
      changeRoutes(app, { ...parts, limit: limited });
    };
    this.#local = this.#app(new SocketGate(peerOf), routes(undefined));
    const bind = (temporary: string) => this.#local.server.close().listen({ path: temporary });
    this.file = new SocketFile(adminSocket(options), { mode: 0o600 }, bind);
    const { http, metrics } = options.admin;
    if (metrics) this.#metrics = this.#app(new OpenGate(), (app) => metricsRoutes(app, parts));
    if (!http) return;
    this.#tokens = new TokenBook(http.tokens, onTokenProblem);
    this.#tcp = this.#app(new TokenGate(this.#tokens, http.listen), routes(limit));
  }

  /** Throws `token_unusable` or `address_unusable`. */
  async start(): Promise<void> {
    const { happenings } = this.#parts;
    this.#tokens?.open();
    for (const feed of this.#feeds) happenings.follow((happening) => feed.observe(happening));
    await this.#local.ready();
    const folder = dirname(this.file.path);
    const { options } = this.#parts;
    if (folder !== options.runtimeDir) prepareRuntimeFolder(folder);
    await this.file.publish();
    const { http, metrics } = options.admin;
    if (this.#tcp) await this.#listen(this.#tcp, http!.listen, 'http');
    if (this.#metrics) await this.#listen(this.#metrics, metrics!, 'metrics');
  }

  async stop(): Promise<void> {
    for (const feed of this.#feeds) feed.close();
    this.file[Symbol.dispose]();
    // Fastify does not know that its server listens, and would wait for who never ends a request.
    this.#local.server.closeAllConnections();
    await Promise.all([this.#local.close(), this.#tcp?.close(), this.#metrics?.close()]);
  }

  #app(gate: Gate, routes: (app: FastifyInstance) => void): FastifyInstance {
    const { log } = this.#parts;
    const onRefused = (refusal: Refusal, route: string, by: Operator | undefined) =>
      this.#refused(gate, refusal, route, by);
    return createHttpApp({ gate, routes, log, onRefused });
  }

  #refused({ name: face }: Gate, { status, code, message }: Refusal, route: string, by: Operator | undefined): void {
    const { log, happenings } = this.#parts;
    const untold = this.#refusals.take(`${face} ${by?.name}`);
    if (untold !== undefined) {
      const facts = { face, status, errorType: code, route, ...(by && { by: by.name }), ...(untold && { untold }) };
      log('warn', 'admin_request_refused', `${route}: ${message}`, facts);
    }
    happenings.tell({ kind: 'refusal', why: code, status, by, route });
  }

  async #listen(app: FastifyInstance, { host, port }: Endpoint, face: 'http' | 'metrics'): Promise<void> {
    const { options, log } = this.#parts;
    try {
      await app.listen({ host, port });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const mend = code === 'EADDRINUSE' ? 'stop what listens there, or choose another port' : 'choose another address';
      throw new DaemonError('address_unusable', `cannot listen on ${host}:${port}: ${code}`, {
        subject: options.file,
        path: `admin.${face}.listen`,
        mend,
      });
    }
    const { port: listening } = app.server.address() as AddressInfo;
    const who = face === 'http' ? 'operators with a token reach' : 'metrics and probes are at';
    log('info', `admin_${face}_ready`, `${who} http://${host}:${listening}`, { host, port: listening });
  }
}
