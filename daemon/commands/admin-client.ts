import { lstatSync } from 'node:fs';
import { request } from 'node:http';
import type { DaemonErrorCode } from '../../schemas/errors.ts';
import { DaemonError, systemCode } from '../model/errors.ts';
import { findAdminSocket } from '../ops/find-daemon.ts';
import type { Io, SharedOptions } from './io.ts';

/** An answer's body is checked by nobody: both ends are of one version. */
export interface AdminAnswer<T> {
  readonly status: number;
  readonly body: T;
}

/** Asks the daemon on its admin socket. Throws `not_reachable` or `not_permitted`. */
export async function askDaemon<T>(
  options: SharedOptions,
  { env }: Io,
  route: string,
  body?: unknown,
): Promise<AdminAnswer<T>> {
  const socketPath = findAdminSocket({ config: options.config, env });
  try {
    const answer = await send<T>(socketPath, route, body);
    const code = codeOf(answer.status);
    if (code) {
      const { message } = answer.body as { message?: string };
      throw new DaemonError(code, message ?? `the daemon answered ${answer.status}`);
    }
    return answer;
  } catch (error) {
    throw explain(error, socketPath);
  }
}

/** What an answer means that is none to the question; `undefined` for one that is. */
function codeOf(status: number): DaemonErrorCode | undefined {
  if (status === 429) return 'rate_limited';
  if (status === 403) return 'not_permitted';
  return status === 404 || status >= 500 ? 'refused' : undefined;
}

/** One exchange, whatever is answered. Rejects by what the system says. */
export function send<T>(
  socketPath: string,
  path: string,
  body: unknown,
  signal?: AbortSignal,
): Promise<AdminAnswer<T>> {
  const { promise, resolve, reject } = Promise.withResolvers<AdminAnswer<T>>();
  const headers = body === undefined ? {} : { 'content-type': 'application/json' };
  const asked = request(
    { socketPath, path, method: body === undefined ? 'GET' : 'POST', headers, ...(signal && { signal }) },
    async (response) => {
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) text += chunk;
      resolve({ status: response.statusCode!, body: JSON.parse(text) });
    },
  );
  asked.once('error', reject);
  asked.end(body === undefined ? undefined : JSON.stringify(body));
  return promise;
}

function explain(error: unknown, subject: string): unknown {
  const code = systemCode(error);
  if (error instanceof DaemonError || code === undefined) return error;
  if (code === 'EACCES' || code === 'EPERM')
    return new DaemonError('not_permitted', 'this user may not ask the daemon', { subject, mend: runAs(subject) });
  return new DaemonError('not_reachable', `no daemon answers: ${code}`, {
    subject,
    mend: 'see whether it runs, or start one with `hotconf start`',
  });
}

/** Whose socket it is may be asked where the folder lets one look. */
function runAs(socket: string): string {
  try {
    return `run it as root or as uid ${lstatSync(socket).uid}, the daemon's user`;
  } catch {
    return "run it as root or as the daemon's user";
  }
}
