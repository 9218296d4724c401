import { endpoint } from '../ops/gcp-options.ts';
import type { Options } from '../ops/options.ts';
import { type Finding, ok, warn } from './finding.ts';

/** Where alerts go; nothing is sent. */
export function checkAlerts({ alerts: { webhook } }: Options): Finding[] {
  if (!webhook) return [];
  const { protocol, hostname, port, host } = new URL(webhook.url);
  const isLoopback = endpoint(`${hostname}:${port || 80}`).isLoopback;
  if (protocol === 'https:' || isLoopback) return [ok('alerts.webhook', `alerts go to ${host}`)];
  const what = `alerts go to ${host} by http: everybody on the way reads them, headers included, and can change the answer`;
  return [warn('alerts.webhook', what, 'use https:// in alerts.webhook.url')];
}
