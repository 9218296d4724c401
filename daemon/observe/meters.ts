import Counter from 'prom-client/lib/counter.js';
import collectDefaultMetrics from 'prom-client/lib/defaultMetrics.js';
import Gauge from 'prom-client/lib/gauge.js';
import Histogram from 'prom-client/lib/histogram.js';
import Registry from 'prom-client/lib/registry.js';
import type { Snapshot } from '../model/snapshot.ts';
import type { Clock } from '../ops/clock.ts';
import type { Session } from '../serve/session.ts';
import type { SessionEvent } from '../serve/session-event.ts';
import type { Source } from '../sources/source.ts';
import type { Happening } from './happenings.ts';

export interface MetersParts {
  readonly version: string;
  readonly sources: readonly Source[];
  readonly programs: () => readonly Session[];
  readonly current: () => Snapshot | undefined;
  readonly isStale: (sourceId: string) => boolean;
  /** What makes the daemon less than it should be: `audit`, `watch`, `pin`, ... */
  readonly degradations: () => readonly string[];
  readonly clock: Clock;
}

const reloadBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/**
 * Everything that is counted, in Prometheus' form (https://prometheus.io/docs/instrumenting/exposition_formats/). Times
 * are in seconds. Labels are of few values: never the name of a secret, a program or a process.
 */
export class Meters {
  readonly #registry = new Registry();
  readonly #shared = { registers: [this.#registry] };
  readonly #reloads = this.#counter('config_reload_total', 'Reloads, by what started them and how they ended.', [
    'trigger',
    'outcome',
  ]);
  readonly #durations = this.#histogram('config_reload_duration_seconds', 'How long reloads took.', []);
  readonly #errors = this.#counter('config_reload_errors_total', 'Rejected reloads, by the code of the error.', [
    'reason',
  ]);
  readonly #lastSuccessful = this.#gauge('config_last_reload_successful', '1 when the last reload was not rejected.');
  readonly #lastSuccess = this.#gauge(
    'config_last_reload_success_timestamp_seconds',
    'When the last reload that was not rejected ended.',
  );
  readonly #changeToCommit = this.#histogram(
    'config_change_to_commit_seconds',
    'From the first sign of a change to its commit.',
    ['source'],
  );
  readonly #commitToAck = this.#histogram(
    'config_commit_to_ack_seconds',
    'From a commit to each acceptance by a program.',
    ['view'],
  );
  readonly #acks = this.#counter('config_acks_total', "Programs' answers to snapshots.", ['outcome']);
  readonly #conflated = this.#counter(
    'config_conflated_snapshots_total',
    'Snapshots that a slow program never got because a newer one came.',
    [],
  );
  readonly #unexpected = this.#counter('hotconf_unexpected_errors_total', 'Failures that no part of it caught.', []);

  constructor(parts: MetersParts) {
    // A precision of 10 ms, the default, would wake an idle daemon a hundred times a second.
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: 1_000 });
    // Gauges by name counters, which promtool rightly does not like; they are there by type besides.
    for (const kind of ['handles', 'requests', 'resources'])
      this.#registry.removeSingleMetric(`nodejs_active_${kind}_total`);
    const build = this.#gauge('hotconf_build_info', 'Always 1.', ['version', 'node']);
    build.set({ version: parts.version, node: process.version }, 1);
    for (const outcome of ['accepted', 'rejected', 'unanswered']) this.#acks.inc({ outcome }, 0);
    this.#meterSnapshot(parts);
    this.#meterSources(parts);
    const degraded = '1 for each thing that makes the daemon less than it should be.';
    this.#read('config_degraded', degraded, ['reason'], (gauge) => {
      gauge.reset();
      for (const reason of parts.degradations()) gauge.set({ reason }, 1);
    });
    this.#meterPrograms(parts);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All of it, as Prometheus scrapes it. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  observe(happening: Happening): void {
    if (happening.kind === 'reload') this.#reloaded(happening);
    else if (happening.kind === 'unexpected') this.#unexpected.inc();
    else if (happening.kind === 'session' && !happening.session.isObserver)
      this.#inSession(happening.event, happening.session, happening.sinceCommitMs);
  }

  #reloaded({ record, outcome }: Happening & { kind: 'reload' }): void {
    const { cause, durationMs, sinceChangeMs, sources = [], at } = record;
    this.#reloads.inc({ trigger: cause, outcome: outcome.kind });
    this.#durations.observe(durationMs / 1000);
    this.#lastSuccessful.set(outcome.kind === 'rejected' ? 0 : 1);
    if (outcome.kind === 'rejected') this.#errors.inc({ reason: outcome.error.code });
    else this.#lastSuccess.set(Date.parse(at) / 1000);
    if (outcome.kind !== 'committed' || sinceChangeMs === undefined) return;
    for (const source of sources) this.#changeToCommit.observe({ source }, sinceChangeMs / 1000);
  }

  #inSession(event: SessionEvent, { view }: Session, sinceCommitMs: number | undefined): void {
    if (event.kind === 'conflated') this.#conflated.inc();
    if (event.kind !== 'accepted' && event.kind !== 'rejected' && event.kind !== 'unanswered') return;
    this.#acks.inc({ outcome: event.kind });
    if (sinceCommitMs !== undefined) this.#commitToAck.observe({ view: view.name }, sinceCommitMs / 1000);
  }

  #meterSnapshot({ current, clock }: MetersParts): void {
    this.#read('config_snapshot_revision', 'The revision that is served; 0 before the first.', [], (gauge) =>
      gauge.set(current()?.revision ?? 0),
    );
    this.#read('config_snapshot_age_seconds', 'Since the commit of what is served.', [], (gauge) => {
      const { committedAt } = current() ?? {};
      gauge.set(committedAt ? Math.max(0, clock.wall() - Date.parse(committedAt)) / 1000 : 0);
    });
  }

  #meterSources({ sources, isStale }: MetersParts): void {
    const heard = 'When a source was last looked at and found well.';
    this.#read('config_source_last_success_timestamp_seconds', heard, ['source'], (gauge) => {
      for (const { id, heardAt } of sources) if (heardAt !== undefined) gauge.set({ source: id }, heardAt / 1000);
    });
    this.#read('config_source_stale', '1 for a source that keeps its last good values.', ['source'], (gauge) => {
      for (const { id } of sources) gauge.set({ source: id }, isStale(id) ? 1 : 0);
    });
    const count = (name: string, help: string, labelNames: string[], what: string) => {
      const collect = () => {
        counter.reset();
        for (const { counts } of sources)
          for (const [outcome, number] of Object.entries(counts[what] ?? {}))
            counter.inc(labelNames.length > 0 ? { outcome } : {}, number);
      };
      const counter: Counter = new Counter({ name, help, labelNames, ...this.#shared, collect });
    };
    count('config_pubsub_messages_total', 'Notifications, by what became of them.', ['outcome'], 'messages');
    count('config_secret_access_total', 'Reads of secrets, by how they ended.', ['outcome'], 'accesses');
    count('config_watch_errors_total', 'Failures of watching files.', [], 'watch');
  }

  #meterPrograms({ programs }: MetersParts): void {
    this.#read('config_clients', 'Connected programs, by view and state.', ['view', 'state'], (gauge) => {
      gauge.reset();
      for (const { view, state } of programs()) gauge.inc({ view: view.name, state });
    });
  }

  #counter(name: string, help: string, labelNames: string[]): Counter {
    return new Counter({ name, help, labelNames, ...this.#shared });
  }

  #gauge(name: string, help: string, labelNames: string[] = []): Gauge {
    return new Gauge({ name, help, labelNames, ...this.#shared });
  }

  #histogram(name: string, help: string, labelNames: string[]): Histogram {
    return new Histogram({ name, help, labelNames, buckets: reloadBuckets, ...this.#shared });
  }

  /** Something that is looked up when it is scraped. */
  #read(name: string, help: string, labelNames: string[], look: (gauge: Gauge) => void): void {
    const gauge: Gauge = new Gauge({ name, help, labelNames, ...this.#shared, collect: () => look(gauge) });
  }
}
