import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { DaemonError } from '../model/errors.ts';
import type { Operator } from '../observe/happenings.ts';
import type { Log } from '../ops/log.ts';
import { compileOwn } from '../ops/own-schemas.ts';
import { type Access, type Gate, malformed, type Refusal, Refused } from './gate.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; `undefined` on a route that asks nobody. */
    operator: Operator | undefined;
  }
  interface FastifyContextConfig {
    access?: Access;
  }
}

export interface HttpAppParts {
  readonly gate: Gate;
  readonly routes: (app: FastifyInstance) => void;
  readonly log: Log;
  readonly onRefused: (refusal: Refusal, route: string, by: Operator | undefined) => void;
}

const bodyBytes = 16 * 1024;
const headerBytes = 8 * 1024;
const headersWithinMs = 5_000;
const requestWithinMs = 10_000;
const connections = 64;

/** Every answer is of a moment, and belongs to nobody but who asked. */
const headers = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
};

/** One face of the operator's HTTP: its limits, who comes in, and how failures are answered. */
export function createHttpApp(parts: HttpAppParts): FastifyInstance {
  const { gate, routes, onRefused } = parts;
  const app = fastify({
    logger: false,
    bodyLimit: bodyBytes,
    forceCloseConnections: true,
    requestTimeout: requestWithinMs,
    keepAliveTimeout: 5_000,
    http: { maxHeaderSize: headerBytes, headersTimeout: headersWithinMs, connectionsCheckingInterval: 500 },
    frameworkErrors: (_error, request, reply) => answerBadUrl(parts, request, reply),
    clientErrorHandler: (error, socket) => refuseConnection(parts, error, socket as Socket),
  });
  app.server.maxConnections = connections;
  app.server.on('drop', () =>
    refused(parts, { status: 503, code: 'too_many_connections', message: `${connections} are open already` }),
  );
  // Fastify's own compiler would bring a second ajv with a second meta-schema.
  app.setValidatorCompiler(({ schema }) => compileOwn(schema as object));
  app.removeContentTypeParser('text/plain');
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body: string, done) =>
    body === '' ? done(null, {}) : parse(request, body, done),
  );
  app.decorateRequest('operator', undefined);
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(headers);
    const bad = malformed(request.raw);
    const { operator, refusal } = bad
      ? { refusal: bad, operator: undefined }
      : gate.admit(request.raw, request.routeOptions.config.access ?? 'viewer');
    request.operator = operator;
    if (!refusal) return;
    onRefused(refusal, routeOf(request), operator);
    await refuse(reply, refusal);
  });
  // A call without a body is one with nothing to add.
  app.addHook('preValidation', async (request) => {
    if (request.method === 'POST' && request.body === undefined) request.body = {};
  });
  app.setErrorHandler((error, request, reply) => answerError(parts, error, request, reply));
  app.setNotFoundHandler((request, reply) => {
    const refusal = misdirected(app, pathOf(request));
    onRefused(refusal, routeOf(request), request.operator);
    return refuse(reply, refusal);
  });
  routes(app);
  return app;
}

function misdirected(app: FastifyInstance, url: string): Refusal {
  const allowed = ['GET', 'POST'].filter((method) => app.hasRoute({ url, method: method as 'GET' }));
  if (allowed.length === 0) return { status: 404, code: 'not_found', message: 'there is no such route' };
  const headers = { allow: allowed.join(', ') };
  return { status: 405, code: 'wrong_method', message: `use ${allowed.join(' or ')}`, headers };
}

function refuse(reply: FastifyReply, { status, code, message, headers: more = {} }: Refusal): FastifyReply {
  return reply.code(status).headers(more).send({ status: 'error', code, message });
}

function refused({ gate, onRefused }: HttpAppParts, refusal: Refusal): void {
  onRefused(refusal, gate.name, undefined);
}

function routeOf(request: FastifyRequest): string {
  // As it was registered; what a stranger asks for is not repeated.
  return `${request.method} ${request.routeOptions.url ?? '(unknown)'}`;
}

function pathOf({ url }: FastifyRequest): string {
  return url.split('?')[0]!;
}

/** Before any hook has run; Fastify's own answer would repeat what was asked for. */
function answerBadUrl({ onRefused }: HttpAppParts, request: FastifyRequest, reply: FastifyReply): void {
  const refusal = { status: 400, code: 'bad_url', message: 'the path of the request is not a valid one' };
  onRefused(refusal, routeOf(request), undefined);
  void refuse(reply.headers(headers), refusal);
}

function answerError({ onRefused, log }: HttpAppParts, error: unknown, request: FastifyRequest, reply: FastifyReply) {
  const refusal = explain(error);
  const route = routeOf(request);
  if (refusal.status === 500) {
    const { message } = error as Error;
    log('error', 'admin_request_failed', `${route} failed: ${message}`, { errorType: 'internal' });
  } else if (isRefusal(error)) onRefused(refusal, route, request.operator);
  return refuse(reply, refusal);
}

/** Not let in, or not even looked at; what was tried and did not go is told by who tried it. */
function isRefusal(error: unknown): boolean {
  return !(error instanceof DaemonError) || error.code === 'audit_unwritable' || error.code === 'rate_limited';
}

/** What is no HTTP at all, or too slow, or too much of it. */
function refuseConnection(parts: HttpAppParts, { code = 'unknown' }: NodeJS.ErrnoException, socket: Socket): void {
  if (code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const status = code === 'HPE_HEADER_OVERFLOW' ? 431 : code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
  refused(parts, { status, code: 'bad_request', message: `the connection is cut: ${code}` });
  const response = (socket as Socket & { _httpMessage?: ServerResponse<IncomingMessage> })._httpMessage;
  // An answer that has begun can only be broken off.
  if (response?.headersSent) return void socket.destroy();
  socket.end(
    `HTTP/1.1 ${status} ${status === 431 ? 'Request Header Fields Too Large' : status === 408 ? 'Request Timeout' : 'Bad Request'}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
  );
}

function explain(error: unknown): Refusal {
  if (error instanceof Refused) return error.refusal;
  if (error instanceof DaemonError) return { status: statusOf(error), code: error.code, message: error.message };
  const {
    statusCode = 500,
    code = 'internal',
    message,
  } = error as { statusCode?: number; code?: string; message: string };
  if (statusCode >= 500) return { status: 500, code: 'internal', message: 'the request failed; see the log' };
  // A parser's message may quote what it was given.
  const isBody = code === 'FST_ERR_CTP_INVALID_JSON_BODY' || error instanceof SyntaxError;
  return { status: statusCode, code, message: isBody ? 'the body is not JSON' : message };
}

function statusOf({ code, exitCode }: DaemonError): number {
  if (code === 'usage' || code === 'revision_gone') return 404;
  if (code === 'revision_conflict') return 409;
  if (code === 'audit_unwritable') return 507;
  if (code === 'rate_limited') return 429;
  if (exitCode === 77) return 403;
  return exitCode === 65 || exitCode === 66 ? 400 : 503;
}
