import { hostname } from 'node:os';
import type { JsonObject } from '../../schemas/json.ts';
import { leavesOf } from '../../schemas/patch.ts';
import { formatPath, overlap, type Path, parsePath, valueAt } from '../../schemas/paths.ts';
import type { AppSchema } from '../model/app-schema.ts';
import { leftOut } from '../model/cut-paths.ts';
import { DaemonError } from '../model/errors.ts';
import { isSecret, redactSettings } from '../model/secrecy.ts';
import type { ReloadRecord, Snapshot } from '../model/snapshot.ts';
import type { ViewFilter } from '../model/view-filter.ts';
import type { Clock } from '../ops/clock.ts';
import type { Health } from '../ops/health.ts';
import type { Options } from '../ops/options.ts';
import type { PinKeeper } from '../reload/commit-gate.ts';
import type { HeldChange } from '../reload/refusals.ts';
import type { SnapshotStore } from '../reload/snapshot-store.ts';
import type { ForView, SeenSettings } from '../serve/for-view.ts';
import { SharedAnswer } from '../serve/outbox.ts';
import type { Rollout } from '../serve/rollout.ts';
import type { Views } from '../serve/views.ts';
import type { Source } from '../sources/source.ts';
import { describeClient } from './describe-client.ts';
import { ForEachView } from './for-each-view.ts';
import { describeHealth, type Phase, reportHealth } from './health-report.ts';

export interface ReportsParts {
  readonly options: Options;
  readonly version: string;
  readonly schema: AppSchema;
  readonly store: SnapshotStore;
  readonly sources: readonly Source[];
  readonly health: Health;
  readonly views: Views;
  readonly rollout: Rollout;
  readonly pins: PinKeeper;
  readonly held: () => readonly HeldChange[];
  /** Newest first. */
  readonly history: (limit?: number) => readonly ReloadRecord[];
  /** Revisions that a rollback can go back to. */
  readonly kept: () => ReadonlySet<number>;
  readonly clock: Clock;
  readonly phase: () => Phase;
  readonly audit: () => { readonly records: number; readonly anchor: string | null };
}

/** What the daemon tells about itself. Answers are JSON and hold no secret value. */
export class Reports {
  readonly #parts: ReportsParts;
  readonly #configs = new ForEachView((_, filter) => new SharedAnswer(this.config(filter)));

  readonly #seen = new ForEachView(({ settings, parts }, filter): SeenSettings => {
    const { store, schema } = this.#parts;
    const seen = filter.apply(settings);
    const isSecretLeaf = (path: Path) => path.length > 0 && isSecret(schema, parts, path);
    return {
      settings: seen,
      secrets: filter.isAll ? store.secretsLoaded : leavesOf(seen).filter(isSecretLeaf).length,
    };
  });

  constructor(parts: ReportsParts) {
    this.#parts = parts;
  }

  summary() {
    const { options, store, schema, history, pins, held, rollout } = this.#parts;
    const snapshot = this.#snapshot();
    return {
      environment: options.environment,
      revision: snapshot.revision,
      epoch: snapshot.epoch,
      loadedAt: snapshot.committedAt,
      hotReloadEnabled: options.hotReload,
      secretsLoaded: store.secretsLoaded,
      configured: Object.fromEntries(schema.parts.map((part) => [part, snapshot.settings[part] !== undefined])),
      sources: this.#sources(),
      pinned: pins.pin ?? null,
      rollout: rollout.stage ?? null,
      held: held(),
      lastReload: history(1)[0] ?? null,
    };
  }

  /** The summary as a program may have it. */
  summaryFor(told: ForView) {
    return told.summary(this.summary(), this.#seen.get(this.#snapshot(), told.filter));
  }

  status() {
    const { version, health, clock, options, views } = this.#parts;
    const snapshot = this.#snapshot();
    return {
      ...this.summary(),
      version,
      pid: process.pid,
      host: hostname(),
      options: options.file,
      state: { ...health.state, reasons: health.reasons },
      ageMs: Math.max(0, clock.wall() - Date.parse(snapshot.committedAt)),
      views: views.servers.map(({ view, file, sessions }) => ({
        name: view.name,
        socket: file.path,
        revision: view.current?.seen.revision ?? 0,
        subscribers: sessions.length,
      })),
      subscribers: this.clients(),
      audit: this.#parts.audit(),
      lastReloads: this.#parts.history(5),
    };
  }

  /** For everybody: names and numbers. */
  health() {
    return reportHealth(this.#parts);
  }

  /** What is served, in one line. */
  line(): string {
    return describeHealth(this.#parts, this.#parts.views.programs.length);
  }

  clients() {
    return this.#parts.views.servers.flatMap(({ view, sessions }) =>
      sessions.map((session) => describeClient(session, view.name)),
    );
  }

  /** Newest first. `kept` marks the commit of each revision that a rollback can go back to. */
  history(limit?: number): readonly (ReloadRecord & { readonly kept?: true })[] {
    const { history, kept, store } = this.#parts;
    const open = new Set(kept());
    open.delete(store.current?.revision ?? 0);
    const mark = (record: ReloadRecord) => {
      const isKept = record.outcome === 'committed' && record.epoch === store.epoch && open.delete(record.revision);
      return isKept ? { ...record, kept: true as const } : record;
    };
    return history(limit).map(mark);
  }

  /** The settings, or what a view sees of them, with every secret replaced. */
  config(filter?: ViewFilter): JsonObject {
    const { settings, parts } = this.#snapshot();
    return redactSettings(this.#parts.schema, parts, filter ? filter.apply(settings) : settings);
  }

  /** {@link config} as the programs of a view get it. */
  configFor(filter: ViewFilter): SharedAnswer {
    return this.#configs.get(this.#snapshot(), filter);
  }

  /** Which part gave the value at a path, at which revision, and which parts it shadows. Throws `usage`. */
  explain(text: string) {
    const path = parsePath(text);
    const snapshot = this.#snapshot();
    if (!path || valueAt(snapshot.settings, path) === undefined) {
      throw new DaemonError('usage', 'there is no such setting', {
        path: text,
        mend: 'see `hotconf get` for all of them',
      });
    }
    const givers = snapshot.parts.filter((part) => valueAt(part.settings, path) !== undefined).reverse();
    const [winner, ...shadowed] = givers.map(({ sourceId, kind, name, version }) => ({
      source: sourceId,
      kind,
      name,
      ...(version && { version }),
    }));
    const secret = isSecret(this.#parts.schema, snapshot.parts, path);
    return {
      path: formatPath(path),
      from: winner!,
      shadows: shadowed,
      secret,
      revision: this.#changedAt(path, snapshot),
    };
  }

  /** The last revision that changed something at, in or above a path, as far as the history goes back. */
  #changedAt(path: Path, { epoch, revision }: Snapshot): number {
    let oldest = revision;
    for (const record of this.#parts.history()) {
      if (record.epoch !== epoch || record.outcome !== 'committed') continue;
      oldest = record.revision;
      // A first commit, which changed everything, lists nothing.
      if ((record.cause === 'start' && record.changed.length === 0) || touches(record, path)) break;
    }
    return oldest;
  }

  #sources() {
    return this.#parts.sources.map(({ id, kind, describes, watchHealth, heardAt, counts }) => {
      const stale = this.#parts.health.staleness(id);
      return {
        id,
        kind,
        reads: [...describes],
        state: stale ? ('stale' as const) : ('current' as const),
        watch: watchHealth.mode,
        problem: stale ?? null,
        heardAt: heardAt === undefined ? null : new Date(heardAt).toISOString(),
        counts,
      };
    });
  }

  #snapshot(): Snapshot {
    const { current } = this.#parts.store;
    if (!current) throw new DaemonError('not_reachable', 'no snapshot is served yet');
    return current;
  }
}

/** A record whose lists are cut may have touched any path. */
function touches(record: ReloadRecord, path: Path): boolean {
  const { changed, removed } = record;
  return leftOut(record) > 0 || [...changed, ...removed].some((text) => overlap(parsePath(text) ?? [], path));
}
