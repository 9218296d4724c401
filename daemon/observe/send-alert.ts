import { createHmac } from 'node:crypto';
import { AbortError } from 'p-retry';
import type { AlertOptions } from '../ops/admin-options.ts';
import { runCommand } from '../ops/run-command.ts';
import type { Alert } from './alert-book.ts';
import type { SendAlert } from './alert-target.ts';

const withinMs = 10_000;

/** What every alert says besides itself. */
export interface AlertOrigin {
  readonly host: string;
  readonly environment: string;
}

/**
 * Posts an alert as JSON, signed as Standard Webhooks 1.0 has it (https://www.standardwebhooks.com): `webhook-signature` is
 * `v1,` and the base64 HMAC-SHA-256 of `<webhook-id>.<webhook-timestamp>.<body>`. Throws where the answer is not 2xx; the
 * error never names more of the URL than its host.
 */
export function webhook(
  { url, headers }: NonNullable<AlertOptions['webhook']>,
  key: Buffer,
  origin: AlertOrigin,
): SendAlert {
  return async (alert, signal, id) => {
    const timestamp = String(Math.floor(Date.now() / 1000));
    const body = JSON.stringify({ id, ...alert, ...origin });
    const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
    const response = await fetch(url, {
      method: 'POST',
      body,
      redirect: 'error',
      headers: {
        ...headers,
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': `v1,${signature}`,
      },
      signal: AbortSignal.any([signal, AbortSignal.timeout(withinMs)]),
    }).catch((error: Error) => {
      const { code } = (error.cause ?? {}) as NodeJS.ErrnoException;
      // What is wrong with the request itself does not pass.
      if (error instanceof TypeError && error.cause === undefined)
        throw new AbortError('its URL or headers are no good');
      throw new Error(`no answer (${code ?? error.name})`);
    });
    await response.body?.cancel();
    if (response.ok) return;
    const mayPass = response.status >= 500 || response.status === 408 || response.status === 429;
    throw mayPass ? new Error(`it answered ${response.status}`) : new AbortError(`it answered ${response.status}`);
  };
}

/** Runs a command with the alert in its environment: `HOTCONF_ALERT_KEY`, `_STATE`, `_SUMMARY`, `_SINCE`, and `HOTCONF_ALERT` as JSON. */
export function alertCommand(command: readonly string[], origin: AlertOrigin): SendAlert {
  return async (alert: Alert, signal) => {
    const env = {
      HOTCONF_ALERT_KEY: alert.key,
      HOTCONF_ALERT_STATE: alert.state,
      HOTCONF_ALERT_SUMMARY: alert.summary,
      HOTCONF_ALERT_SINCE: alert.since,
      HOTCONF_ALERT: JSON.stringify({ ...alert, ...origin }),
    };
    const { isSuccess, how } = await runCommand(command, { env, withinMs: 3 * withinMs, signal });
    if (!isSuccess) throw new Error(`the command ended by ${how}`);
  };
}
