import type { Reports } from '../admin/reports.ts';
import { DaemonError } from '../model/errors.ts';
import { findAdminSocket } from '../ops/find-daemon.ts';
import { send } from './admin-client.ts';
import { type Io, printJson, printLines, type SharedOptions } from './io.ts';

/** A probe that hangs is no answer. */
const withinMs = 5_000;

/** For probes: 0 where programs are served, or with `live` where the daemon answers at all; else 1, and 69 where it does not. */
export async function ready(options: SharedOptions & { readonly live?: boolean }, io: Io): Promise<number> {
  const socket = findAdminSocket({ config: options.config, env: io.env });
  const route = options.live ? '/livez' : '/healthz';
  const late = AbortSignal.timeout(withinMs);
  const answer = await send<ReturnType<Reports['health']>>(socket, route, undefined, late).catch((error) => {
    const what = late.aborted ? `no answer within ${withinMs} ms` : `no daemon answers: ${error.code}`;
    throw new DaemonError('not_reachable', what, { subject: socket });
  });
  const { status, reasons = [] } = answer.body;
  if (options.json) printJson(io, answer.body);
  else printLines(io, [`${status}${reasons.length > 0 ? ` (${reasons.join(', ')})` : ''}`]);
  return answer.status === 200 ? 0 : 1;
}
