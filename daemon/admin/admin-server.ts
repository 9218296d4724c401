import { type FastifyInstance, type FastifyReply, fastify } from 'fastify';
import type { RotationResult } from '../../schemas/wire.ts';
import { DaemonError } from '../model/errors.ts';
import type { Actor, ReloadOutcome } from '../model/snapshot.ts';
import type { Log } from '../ops/log.ts';
import { compileOwn } from '../ops/own-schemas.ts';
import { SocketFile } from '../ops/socket-file.ts';
import type { Preview } from '../reload/commit-gate.ts';
import type { RotationRequest } from '../serve/rotation.ts';
import type { Reports } from './reports.ts';

export interface AdminServerParts {
  readonly path: string;
  readonly reports: Reports;
  readonly reload: (actor: Actor, acceptMissing: boolean) => Promise<ReloadOutcome>;
  readonly rollback: (to: number, expect: number | undefined, actor: Omit<Actor, 'cause'>) => Promise<ReloadOutcome>;
  readonly unpin: (actor: Actor) => Promise<ReloadOutcome>;
  readonly preview: () => Promise<Preview>;
  /** Resolves when the programs have answered, or after a time. */
  readonly allAnswered: () => Promise<void>;
  readonly rotate: (request: RotationRequest) => Promise<RotationResult>;
  readonly log: Log;
}

const jsonBytes = 16 * 1024;
/** The largest secret, in base64, and room for the rest. */
const rotateBytes = 96 * 1024;

const reloadBody = {
  type: 'object',
  additionalProperties: false,
  properties: {
    reason: { type: 'string', maxLength: 500 },
    dryRun: { type: 'boolean' },
    acceptMissing: { type: 'boolean' },
  },
} as const;

const rollbackBody = {
  type: 'object',
  required: ['to'],
  additionalProperties: false,
  properties: {
    to: { type: 'integer', minimum: 1 },
    expect: { type: 'integer', minimum: 1 },
    reason: { type: 'string', maxLength: 500 },
  },
} as const;

const unpinBody = {
  type: 'object',
  additionalProperties: false,
  properties: { reason: { type: 'string', maxLength: 500 } },
} as const;

const rotateBody = {
  type: 'object',
  required: ['secret', 'value'],
  additionalProperties: false,
  properties: {
    secret: { type: 'string', minLength: 1, maxLength: 400 },
    value: { type: 'string', minLength: 1, pattern: '^[A-Za-z0-9+/]+=*$' },
    at: { type: 'string', minLength: 1, maxLength: 1_000 },
  },
} as const;

/** The operator's HTTP interface on a Unix socket of mode 0600: whoever may open it may use it. */
export class AdminServer {
  readonly #app: FastifyInstance;
  readonly #file: SocketFile;

  constructor(parts: AdminServerParts) {
    this.#app = createApp(parts);
    const bind = (temporary: string) => this.#app.server.close().listen({ path: temporary });
    this.#file = new SocketFile(parts.path, { mode: 0o600 }, bind);
  }

  get file(): SocketFile {
    return this.#file;
  }

  async start(): Promise<void> {
    await this.#app.ready();
    await this.#file.publish();
  }

  async stop(): Promise<void> {
    this.#file[Symbol.dispose]();
    await this.#app.close();
  }
}

function createApp(parts: AdminServerParts): FastifyInstance {
  const { reports, reload, rollback, unpin, preview, allAnswered, rotate, log } = parts;
  const app = fastify({ logger: false, bodyLimit: jsonBytes, forceCloseConnections: true, requestTimeout: 60_000 });
  // Fastify's own compiler would bring a second ajv with a second meta-schema.
  app.setValidatorCompiler(({ schema }) => compileOwn(schema as object));
  app.setErrorHandler((error, _request, reply) => {
    const { status, code, message } = explain(error);
    if (status === 500)
      log('error', 'admin_request_failed', `a request failed: ${(error as Error).message}`, { errorType: code });
    return reply.code(status).send({ status: 'error', code, message });
  });
  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).send({ status: 'error', code: 'not_found', message: 'no such route' }),
  );
  app.get('/admin/status', () => reports.status());
  app.get('/admin/summary', () => reports.summary());
  app.get('/admin/history', () => reports.history());
  app.get('/admin/clients', () => reports.clients());
  app.get('/admin/config', () => reports.config());
  app.get<{ Querystring: { path: string } }>(
    '/admin/explain',
    {
      schema: {
        querystring: { type: 'object', required: ['path'], properties: { path: { type: 'string', maxLength: 1_000 } } },
      },
    },
    ({ query }) => reports.explain(query.path),
  );
  const answered = async (outcome: ReloadOutcome, reply: FastifyReply) => {
    await allAnswered();
    const answer = describeReload(outcome, reports);
    return reply.code(answer.status === 'success' ? 200 : 422).send(answer);
  };
  app.post<{ Body: { reason?: string; dryRun?: boolean; acceptMissing?: boolean } }>(
    '/admin/reload-config',
    { schema: { body: reloadBody } },
    async ({ body }, reply) => {
      if (body.dryRun) return reply.send({ status: 'success', message: 'Nothing was changed', ...(await preview()) });
      return answered(await reload({ cause: 'operator', ...why(body) }, body.acceptMissing ?? false), reply);
    },
  );
  app.post<{ Body: { to: number; expect?: number; reason?: string } }>(
    '/admin/rollback',
    { schema: { body: rollbackBody } },
    async ({ body }, reply) => answered(await rollback(body.to, body.expect, { by: 'operator', ...why(body) }), reply),
  );
  app.post<{ Body: { reason?: string } }>('/admin/unpin', { schema: { body: unpinBody } }, async ({ body }, reply) =>
    answered(await unpin({ cause: 'operator', ...why(body) }), reply),
  );
  app.post<{ Body: { secret: string; value: string; at?: string } }>(
    '/admin/rotate',
    { schema: { body: rotateBody }, bodyLimit: rotateBytes },
    async ({ body }, reply) => {
      const { value, ...request } = body;
      const result = await rotate({ ...request, value: Buffer.from(value, 'base64') });
      const isRejected = result.outcome === 'rejected';
      return reply.code(isRejected ? 422 : 200).send({ status: isRejected ? 'error' : 'success', ...result });
    },
  );
  return app;
}

function why({ reason }: { reason?: string }): { reason?: string } {
  return reason ? { reason } : {};
}

/** What an operator is told of a reload. */
function describeReload(outcome: ReloadOutcome, reports: Reports) {
  if (outcome.kind === 'rejected') {
    const { code, message, facts } = outcome.error;
    const { issues = [], rejectedBy = [] } = facts;
    return { status: 'error', code, message, outcome: outcome.kind, issues, rejectedBy };
  }
  const { revision, epoch, changed, removed } = outcome.snapshot;
  const isNew = outcome.kind === 'committed';
  return {
    status: 'success',
    message: isNew ? 'Configuration reloaded' : 'Nothing has changed',
    outcome: outcome.kind,
    revision,
    epoch,
    changed: isNew ? changed : [],
    removed: isNew ? removed : [],
    pinned: reports.summary().pinned,
    rollout: reports.summary().rollout,
    subscribers: reports.clients(),
  };
}

function explain(error: unknown): { status: number; code: string; message: string } {
  if (error instanceof DaemonError) return { status: statusOf(error), code: error.code, message: error.message };
  const {
    statusCode = 500,
    code = 'internal',
    message,
  } = error as { statusCode?: number; code?: string; message: string };
  return statusCode < 500
    ? { status: statusCode, code, message }
    : { status: 500, code: 'internal', message: 'the request failed; see the log' };
}

function statusOf({ code, exitCode }: DaemonError): number {
  if (code === 'usage' || code === 'revision_gone') return 404;
  if (code === 'revision_conflict') return 409;
  if (exitCode === 77) return 403;
  return exitCode === 65 || exitCode === 66 ? 400 : 503;
}
