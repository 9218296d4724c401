import type { FastifyInstance } from 'fastify';
import type { Meters } from '../observe/meters.ts';
import type { LiveFeed } from './live-feed.ts';
import type { Reports } from './reports.ts';
import { readStatusPage } from './status-page.ts';

export interface ReadRoutesParts {
  readonly reports: Reports;
  readonly meters: Meters;
  readonly feed: LiveFeed;
}

const pathQuery = {
  type: 'object',
  required: ['path'],
  properties: { path: { type: 'string', minLength: 1, maxLength: 1_000 } },
} as const;

// A query is text; our compiler converts nothing.
const limitQuery = { type: 'object', properties: { limit: { type: 'string', pattern: '^[1-9][0-9]{0,5}$' } } } as const;

/** What operators may look at, and what anybody may: whether the daemon lives. */
export function readRoutes(app: FastifyInstance, { reports, meters, feed }: ReadRoutesParts): void {
  app.get('/admin/status', ({ operator }) => ({ ...reports.status(), you: operator ?? null }));
  app.get('/admin/summary', () => reports.summary());
  app.get<{ Querystring: { limit?: string } }>('/admin/history', { schema: { querystring: limitQuery } }, ({ query }) =>
    reports.history(query.limit ? Number(query.limit) : undefined),
  );
  app.get('/admin/clients', () => reports.clients());
  app.get('/admin/config', () => reports.config());
  app.get<{ Querystring: { path: string } }>('/admin/explain', { schema: { querystring: pathQuery } }, ({ query }) =>
    reports.explain(query.path),
  );
  app.get('/admin/events', { exposeHeadRoute: false }, ({ operator }, reply) => {
    const stream = feed.open(operator!.name);
    // Behind a buffering relay an event would come late, and none is allowed anyway.
    return reply.header('content-type', 'text/event-stream; charset=utf-8').send(stream);
  });
  metricsRoutes(app, { reports, meters });
  const page = readStatusPage();
  app.get('/', { config: { access: 'public' } }, (_request, reply) =>
    reply
      .headers({ 'content-type': 'text/html; charset=utf-8', 'content-security-policy': page.policy })
      .send(page.html),
  );
}

/** What Prometheus and probes ask for; names and numbers, and no message. */
export function metricsRoutes(
  app: FastifyInstance,
  { reports, meters }: Pick<ReadRoutesParts, 'reports' | 'meters'>,
): void {
  app.get('/metrics', async (_request, reply) =>
    reply.header('content-type', meters.contentType).send(await meters.text()),
  );
  healthRoutes(app, reports);
}

/** Asked by whoever runs the daemon, without a token: they tell no name of a setting, and no message. */
function healthRoutes(app: FastifyInstance, reports: Reports): void {
  const config = { access: 'public' } as const;
  app.get('/livez', { config }, () => ({ status: 'alive' }));
  app.get('/readyz', { config }, (_request, reply) => {
    const { isReady, status, reasons } = reports.health();
    return reply.code(isReady ? 200 : 503).send({ status, reasons });
  });
  app.get('/healthz', { config }, (_request, reply) => {
    const { isReady, ...health } = reports.health();
    return reply.code(isReady ? 200 : 503).send(health);
  });
}
