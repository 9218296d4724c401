import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../ops/clock.ts';
import type { Health } from '../ops/health.ts';
import { findKeyFile, readOrMakeKey } from '../ops/key-ring.ts';
import type { Log } from '../ops/log.ts';
import { openNotifySocket } from '../ops/notify-socket.ts';
import type { Options } from '../ops/options.ts';
import type { Redaction } from '../ops/redaction.ts';
import { AlertBook } from './alert-book.ts';
import { AlertRate } from './alert-rate.ts';
import type { AlertTarget } from './alert-target.ts';
import { AuditAnchor } from './audit-anchor.ts';
import type { HeadStore } from './audit-head.ts';
import type { AuditTrail } from './audit-trail.ts';
import { createAudit } from './create-audit.ts';
import type { Happenings } from './happenings.ts';
import { Meters, type MetersParts } from './meters.ts';
import { ServiceManager } from './service-manager.ts';

export interface LookoutsParts extends Omit<MetersParts, 'isStale' | 'degradations'> {
  readonly health: Health;
  readonly options: Options;
  readonly env: NodeJS.ProcessEnv;
  readonly happenings: Happenings;
  /** Where the last links of the audit log are kept besides. */
  readonly head: HeadStore;
  readonly redaction: Redaction;
  readonly log: Log;
  readonly clock: Clock;
  /** What is served, in one line. */
  readonly status: () => string;
}

/** Everybody who looks on: metrics, the audit log, and alerts. */
export class Lookouts {
  readonly meters: Meters;
  readonly audit: AuditTrail;
  readonly #parts: LookoutsParts;
  readonly #anchor: AuditAnchor;
  readonly #anchorText: () => string | undefined;
  #targets: readonly AlertTarget[] = [];
  #service: ServiceManager | undefined;
  #rate: AlertRate | undefined;

  constructor(parts: LookoutsParts) {
    const { happenings, health } = parts;
    this.#parts = parts;
    this.meters = new Meters({
      ...parts,
      isStale: (sourceId) => health.staleness(sourceId) !== undefined,
      degradations: () => health.degradations,
    });
    const { trail, anchor } = createAudit(parts);
    this.audit = trail;
    this.#anchorText = anchor;
    this.#anchor = new AuditAnchor({ ...parts, anchor });
    happenings.follow((happening) => this.meters.observe(happening));
    happenings.follow((happening) => this.audit.observe(happening));
  }

  /** How far the audit log goes. */
  get auditStatus() {
    return { records: this.audit.records, anchor: this.#anchorText() ?? null };
  }

  /** Throws `key_unusable` for a key that alerts cannot be signed with. */
  async start(): Promise<void> {
    const { happenings, clock, version } = this.#parts;
    const service = createServiceManager(this.#parts);
    if (service) happenings.follow((happening) => service.observe(happening));
    this.#service = service;
    happenings.tell({ kind: 'started', version });
    this.#anchor.start();
    this.#targets = await createTargets(this.#parts);
    if (this.#targets.length === 0) return;
    const rate = new AlertRate({ clock, tell: (alert) => this.#targets.forEach((target) => void target.tell(alert)) });
    this.#rate = rate;
    const book = new AlertBook({ clock, tell: (alert) => rate.tell(alert) });
    happenings.follow((happening) => book.observe(happening));
    // What was wrong before anybody looked.
    for (const trouble of this.#parts.health.troubles) book.observe({ kind: 'trouble', trouble });
  }

  async stop(): Promise<void> {
    this.#service?.stop();
    this.#rate?.stop();
    this.audit.close();
    this.#anchor.stop();
    await Promise.all(this.#targets.map((target) => target.stop()));
  }
}

function createServiceManager({ env, clock, log, status }: LookoutsParts): ServiceManager | undefined {
  const path = env.NOTIFY_SOCKET;
  const notify = openNotifySocket(path);
  if (path && !notify)
    log('warn', 'service_manager_deaf', 'systemd waits to be notified, and koffi, which that needs, is not there', {});
  // Another process's watchdog is not ours to feed.
  const isOurs = env.WATCHDOG_PID === undefined || Number(env.WATCHDOG_PID) === process.pid;
  const watchdogUs = isOurs && env.WATCHDOG_USEC ? Number(env.WATCHDOG_USEC) : undefined;
  return notify && new ServiceManager({ notify, clock, watchdogUs, status });
}

async function createTargets({ options, env, redaction, clock, log }: LookoutsParts): Promise<AlertTarget[]> {
  const { alerts, stateDir, environment } = options;
  if (!alerts.webhook && !alerts.command) return [];
  // Loaded only where somebody is to be told: a start is short.
  const { AlertTarget } = await import('./alert-target.ts');
  const { alertCommand, webhook } = await import('./send-alert.ts');
  const origin = { host: hostname(), environment };
  const targets: AlertTarget[] = [];
  if (alerts.webhook) {
    const { url, headers, keyFile } = alerts.webhook;
    // A hook's URL and headers often are all that keeps others from using it.
    redaction.remember('alerts.webhook', { url, ...headers });
    const key = readOrMakeKey(findKeyFile('alert-key', keyFile, env) ?? join(stateDir, 'alert.key'));
    const name = `the webhook at ${new URL(url).host}`;
    targets.push(new AlertTarget({ name, send: webhook(alerts.webhook, key, origin), clock, log }));
  }
  if (alerts.command) {
    const name = `the command ${alerts.command[0]}`;
    targets.push(new AlertTarget({ name, send: alertCommand(alerts.command, origin), clock, log }));
  }
  return targets;
}
