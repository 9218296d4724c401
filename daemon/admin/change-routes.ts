import type { FastifyInstance, FastifyReply } from 'fastify';
import type { RotationResult } from '../../schemas/wire.ts';
import { cutChanges, frameLimits } from '../model/cut-paths.ts';
import type { Actor, ReloadOutcome } from '../model/snapshot.ts';
import type { Preview } from '../reload/commit-gate.ts';
import type { ReloadRequest } from '../reload/reload-request.ts';
import type { RollbackRequest } from '../reload/reloader.ts';
import type { RotationRequest } from '../serve/rotation.ts';
import { type OperateParts, operate, outcomeOfRotation } from './operate.ts';
import type { ReloadLimit } from './reload-limit.ts';
import type { Reports } from './reports.ts';

export interface ChangeRoutesParts extends OperateParts {
  readonly reports: Reports;
  /** `undefined` where operators are not limited: on the socket. */
  readonly limit: ReloadLimit | undefined;
  /** A reload of this kind is under way, and another call would join it. */
  readonly isReloading: (asked: ReloadRequest) => boolean;
  readonly reload: (actor: Actor, asked: ReloadRequest) => Promise<ReloadOutcome>;
  readonly rollback: (request: RollbackRequest, actor: Omit<Actor, 'cause'>) => Promise<ReloadOutcome>;
  readonly unpin: (actor: Actor) => Promise<ReloadOutcome>;
  readonly preview: () => Promise<Preview>;
  readonly rotate: (request: RotationRequest, actor: Actor) => Promise<RotationResult>;
  /** Resolves when the programs have answered, or after a time. */
  readonly allAnswered: () => Promise<void>;
}

/** The largest secret, in base64, and room for the rest. */
const rotateBytes = 96 * 1024;

const reason = { type: 'string', maxLength: 500 } as const;
const flag = { type: 'boolean' } as const;
const revision = { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER } as const;
const bodyOf = (properties: object, required: readonly string[] = []) =>
  ({ body: { type: 'object', additionalProperties: false, properties, required } }) as const;

const bodies = {
  reload: bodyOf({ reason, dryRun: flag, acceptMissing: flag, noVerify: flag }),
  rollback: bodyOf({ to: revision, expect: revision, force: { type: 'boolean' }, reason }, ['to']),
  unpin: bodyOf({ reason }),
  rotate: bodyOf(
    {
      secret: { type: 'string', minLength: 1, maxLength: 400 },
      value: { type: 'string', minLength: 1, pattern: '^[A-Za-z0-9+/]+=*$' },
      at: { type: 'string', minLength: 1, maxLength: 1_000 },
    },
    ['secret', 'value'],
  ),
};

const config = { access: 'admin' } as const;

/** What operators may change. Each is written down before it is done, and how it ended after. */
export function changeRoutes(app: FastifyInstance, parts: ChangeRoutesParts): void {
  const { limit } = parts;
  const answered = async (outcome: ReloadOutcome, reply: FastifyReply) => {
    await parts.allAnswered();
    const answer = describeReload(outcome, parts.reports);
    return reply.code(answer.status === 'success' ? 200 : 422).send(answer);
  };

  app.post<{ Body: ReloadRequest & { reason?: string; dryRun?: boolean } }>(
    '/admin/reload-config',
    { schema: bodies.reload, config },
    async (request, reply) => {
      const { dryRun, acceptMissing, noVerify, ...said } = request.body;
      const asked = { acceptMissing, noVerify };
      if (dryRun) {
        const preview = await parts.preview();
        const answer = { ...preview, ...cutChanges(preview, frameLimits) };
        return reply.send({ status: 'success', message: 'Nothing was changed', ...answer });
      }
      const by = request.operator!;
      const task = async () => {
        const isJoining = parts.isReloading(asked);
        if (!isJoining) limit?.take(by.name);
        const outcome = await parts.reload({ cause: 'operator', by: by.name, ...said }, asked);
        // Who meets an error has to be able to try again.
        if (!isJoining && outcome.kind === 'rejected') limit?.giveBack(by.name);
        return outcome;
      };
      const facts = { ...said, ...(acceptMissing && { acceptMissing }), ...(noVerify && { noVerify }) };
      return answered(await operate(parts, { what: 'reload', by, facts, task, outcomeOf }), reply);
    },
  );
  app.post<{ Body: RollbackRequest & { reason?: string } }>(
    '/admin/rollback',
    { schema: bodies.rollback, config },
    async (request, reply) => {
      const { to, expect, force, ...said } = request.body;
      const by = request.operator!;
      const task = () => parts.rollback({ to, expect, force }, { by: by.name, ...said });
      const operation = { what: 'rollback', by, facts: { ...request.body }, task, outcomeOf };
      return answered(await operate(parts, operation), reply);
    },
  );
  app.post<{ Body: { reason?: string } }>('/admin/unpin', { schema: bodies.unpin, config }, async (request, reply) => {
    const by = request.operator!;
    const task = () => parts.unpin({ cause: 'operator', by: by.name, ...request.body });
    return answered(await operate(parts, { what: 'unpin', by, facts: request.body, task, outcomeOf }), reply);
  });
  app.post<{ Body: { secret: string; value: string; at?: string } }>(
    '/admin/rotate',
    { schema: bodies.rotate, bodyLimit: rotateBytes, config },
    async (request, reply) => {
      const { value, ...asked } = request.body;
      const by = request.operator!;
      const bytes = Buffer.from(value, 'base64');
      const task = () => parts.rotate({ ...asked, value: bytes }, { cause: 'operator', by: by.name });
      const facts = { name: asked.secret, ...(asked.at && { at: asked.at }) };
      const result = await operate(parts, { what: 'rotate', by, facts, task, outcomeOf: outcomeOfRotation });
      const isRejected = result.outcome === 'rejected';
      return reply.code(isRejected ? 422 : 200).send({ status: isRejected ? 'error' : 'success', ...result });
    },
  );
}

function outcomeOf(outcome: ReloadOutcome) {
  return outcome.kind === 'rejected'
    ? { outcome: outcome.kind, code: outcome.error.code }
    : { outcome: outcome.kind, revision: outcome.snapshot.revision };
}

/** What an operator is told of a reload. */
function describeReload(outcome: ReloadOutcome, reports: Reports) {
  if (outcome.kind === 'rejected') {
    const { code, message, facts } = outcome.error;
    const { issues = [], rejectedBy = [] } = facts;
    return { status: 'error', code, message, outcome: outcome.kind, issues, rejectedBy };
  }
  const { revision: served, epoch } = outcome.snapshot;
  const isNew = outcome.kind === 'committed';
  const { pinned, rollout } = reports.summary();
  return {
    status: 'success',
    message: 'Configuration reloaded',
    outcome: outcome.kind,
    revision: served,
    epoch,
    ...cutChanges(isNew ? outcome.snapshot : { changed: [], removed: [] }, frameLimits),
    pinned,
    rollout,
    subscribers: reports.clients(),
  };
}
