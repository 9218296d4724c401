import type { JsonValue } from '../schemas/json.ts';
import type { Request } from '../schemas/wire.ts';
import { AdminServer } from './admin/admin-server.ts';
import { Reports } from './admin/reports.ts';
import { DaemonError } from './model/errors.ts';
import type { Actor, ReloadOutcome, ReloadRecord, Snapshot } from './model/snapshot.ts';
import { type Clock, systemClock } from './ops/clock.ts';
import { Health } from './ops/health.ts';
import type { Log } from './ops/log.ts';
import { adminSocket, type Options, viewSocket } from './ops/options.ts';
import type { Redaction } from './ops/redaction.ts';
import { prepareRuntimeFolder } from './ops/runtime-folder.ts';
import { StateStore } from './ops/state-store.ts';
import { readVersion } from './ops/version.ts';
import { describeReloadEnd } from './reload/describe-reload.ts';
import { Reloader } from './reload/reloader.ts';
import { SettleWindow } from './reload/settle-window.ts';
import { SnapshotStore } from './reload/snapshot-store.ts';
import { loadAppSchema } from './reload/validate-candidate.ts';
import { createFrameCheck } from './serve/check-frame.ts';
import { Rotation } from './serve/rotation.ts';
import type { Session, SessionEvent } from './serve/session.ts';
import { View } from './serve/view.ts';
import { ViewServer } from './serve/view-server.ts';
import { createSources } from './sources/create-sources.ts';
import { GcpSource } from './sources/gcp/gcp-source.ts';
import type { Source } from './sources/source.ts';

export interface DaemonParts {
  readonly options: Options;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Log;
  readonly redaction: Redaction;
  readonly clock?: Clock;
}

/** What a frame needs besides the settings: its head, and the names of what changed. */
const frameOverheadBytes = 1024 * 1024;
const answersWithinMs = 5_000;
/** A rotation is not over before the programs have answered; so long it may take. */
const rotationWithinMs = 30_000;

/**
 * The composition root: builds each part once and starts them in order. State folder, sources armed, everything read,
 * then the sockets; what was started is stopped in reverse order, after a failed start too.
 */
export class Daemon {
  readonly reports: Reports;
  readonly #parts: DaemonParts;
  readonly #state: StateStore;
  readonly #sources: readonly Source[];
  readonly #settle: SettleWindow;
  readonly #health: Health;
  readonly #store: SnapshotStore;
  readonly #reloader: Reloader;
  readonly #server: ViewServer;
  readonly #admin: AdminServer;
  readonly #rotation: Rotation;
  readonly #stop = new AbortController();
  readonly #started: (() => Promise<void> | void)[] = [];
  #reloading: Promise<void> = Promise.resolve();

  /** Takes the state folder. Throws what is wrong with options, schema, folders or the process environment. */
  constructor(parts: DaemonParts) {
    this.#parts = parts;
    const { options, log, env, redaction } = parts;
    const clock = parts.clock ?? systemClock;
    const { schema, validate } = loadAppSchema(options.schema);
    const sourceParts = {
      options,
      env,
      schema,
      redaction,
      clock,
      log,
      onWatchHealth: () => this.#onWatchHealth(),
      instance: () => this.#state.epoch,
    };
    this.#sources = createSources(sourceParts);
    prepareRuntimeFolder(options.runtimeDir);
    this.#health = new Health({ clock, log, onChange: (state) => this.#server.tellState(state) });
    const view = new View('default');
    this.#server = new ViewServer({
      view,
      path: viewSocket(options),
      mode: options.view.mode,
      maxClients: options.limits.clients,
      maxFrameBytes: options.limits.snapshotSize + frameOverheadBytes,
      checkFrame: createFrameCheck(),
      clock,
      log,
      state: () => this.#health.state,
      mayRotate: options.view.mayRotate && options.sources.gcp !== undefined,
      answer: (request, session) => this.#answer(request, session),
      onEvent: (event, session) => this.#onSession(event, session),
      clean: (text) => redaction.clean(text),
    });
    this.#state = StateStore.open(options.stateDir);
    this.#store = new SnapshotStore({
      lineage: this.#state,
      schema,
      clock,
      onUnsaved: (error) => this.#onUnsaved(error),
      onCommit: (snapshot) => this.#server.publish(snapshot),
    });
    this.#settle = new SettleWindow(options.reload, clock);
    this.#reloader = new Reloader({
      sources: this.#sources,
      freshSources: () => createSources({ ...sourceParts, log: () => {} }),
      settle: this.#settle,
      validate,
      store: this.#store,
      clock,
      deadlineMs: options.reload.deadlineMs,
      minIntervalMs: options.reload.minIntervalMs,
      maxSnapshotBytes: options.limits.snapshotSize,
      onStart: ({ cause }) => log('info', 'config_reload_started', `reading (${cause})`, { trigger: cause }),
      onEnd: (record, outcome) => this.#onReload(record, outcome),
    });
    const gcp = this.#sources.find((source) => source instanceof GcpSource);
    this.#rotation = new Rotation({
      source: gcp,
      reload: (actor) => this.#reloader.reloadNow(new Set([gcp!.id]), actor, this.#stop.signal),
      answersTo: (revision) => this.#server.answersTo(revision, rotationWithinMs),
      log,
      signal: this.#stop.signal,
    });
    const history = (limit?: number) => this.#state.records(limit);
    const views = () => [{ name: view.name, path: viewSocket(options), server: this.#server }];
    this.reports = new Reports({
      options,
      version: readVersion(),
      schema,
      store: this.#store,
      sources: this.#sources,
      health: this.#health,
      views,
      history,
      clock,
    });
    this.#admin = new AdminServer({
      path: adminSocket(options),
      reports: this.reports,
      reload: (actor) => this.reload(actor),
      preview: () => this.#reloader.preview(this.#stop.signal),
      allAnswered: () => this.#server.allAnswered(answersWithinMs),
      rotate: (request) => this.#rotation.rotate(request, { cause: 'operator' }),
      log,
    });
  }

  /** Resolves when the first snapshot is served. Throws why it cannot be; everything is then stopped again. */
  async start(): Promise<Snapshot> {
    this.#started.push(() => this.#state.close());
    for (const source of this.#sources) this.#started.push(() => source.close());
    try {
      // Armed before it is read, so that nothing falls between.
      if (this.#parts.options.hotReload) await this.#watchSources();
      const outcome = await this.reload({ cause: 'start' });
      if (outcome.kind === 'rejected') throw outcome.error;
      await this.#startPart(this.#server);
      await this.#startPart(this.#admin);
      this.#reloading = this.#reloader.run(this.#stop.signal);
      return outcome.snapshot;
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Reads every source again. */
  reload(actor: Actor): Promise<ReloadOutcome> {
    return this.#reloader.reloadAll(actor, this.#stop.signal);
  }

  /** Rejects when a part that should run for ever has failed. */
  get running(): Promise<void> {
    return this.#reloading;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#reloading.catch(() => {});
    for (const stop of this.#started.splice(0).reverse()) await stop();
  }

  async #watchSources(): Promise<void> {
    for (const source of this.#sources) {
      const watch = await source.watch((hint) => this.#settle.add(hint));
      this.#started.push(async () => watch[Symbol.asyncDispose]());
    }
  }

  async #startPart(part: { start(): Promise<void>; stop(): Promise<void> }): Promise<void> {
    this.#started.push(() => part.stop());
    await part.start();
  }

  #onReload(record: ReloadRecord, outcome: ReloadOutcome): void {
    const { log, options } = this.#parts;
    const { level, event, message, fields } = describeReloadEnd(record, outcome);
    log(level, event, message, {
      ...fields,
      environment: options.environment,
      secretsLoaded: this.#store.secretsLoaded,
    });
    this.#health.setProblems(this.#reloader.problems());
    try {
      this.#state.addRecord(this.#cleaned(record));
      this.#health.setDegraded('state', undefined);
    } catch (error) {
      this.#onUnsaved(error);
    }
  }

  /** A reason and an error are words of others, and are kept on disk. */
  #cleaned(record: ReloadRecord): ReloadRecord {
    const { reason, by, error } = record;
    return { ...record, ...(this.#parts.redaction.cleanValue({ reason, by, error }) as Partial<ReloadRecord>) };
  }

  #onWatchHealth(): void {
    const unwell = this.#sources.find(({ watchHealth }) => watchHealth.problem !== undefined);
    const how = unwell?.watchHealth.mode === 'polling' ? ' is polled' : '';
    this.#health.setDegraded('watch', unwell && `${unwell.id}${how}: ${unwell.watchHealth.problem}`);
  }

  #onUnsaved(error: unknown): void {
    const reason = `the state folder cannot be written: ${(error as Error).message}`;
    this.#parts.log('error', 'state_unsaved', reason, { stateDir: this.#parts.options.stateDir });
    this.#health.setDegraded('state', reason);
  }

  async #answer(request: Request, session: Session): Promise<JsonValue> {
    const { kind, reason } = request;
    if (kind === 'summary') return this.reports.summary() as unknown as JsonValue;
    if (kind === 'config') return this.reports.config();
    if (kind === 'validate') return (await this.#reloader.preview(this.#stop.signal)) as unknown as JsonValue;
    if (kind === 'rotate') return this.#rotate(request, session);
    if (!this.#parts.options.view.mayReload)
      throw new DaemonError('not_permitted', 'this view may not reload', { mend: 'set mayReload for the view' });
    const outcome = await this.reload({ cause: 'client', by: session.name, ...(reason && { reason }) });
    if (outcome.kind !== 'rejected')
      return {
        outcome: outcome.kind,
        revision: outcome.snapshot.revision,
        changed: outcome.kind === 'committed' ? outcome.snapshot.changed : [],
      };
    const { code, message, facts } = outcome.error;
    return { outcome: 'rejected', code, message, issues: (facts.issues ?? []) as unknown as JsonValue };
  }

  async #rotate({ secret = '', value = '' }: Request, { name }: Session): Promise<JsonValue> {
    if (!this.#parts.options.view.mayRotate)
      throw new DaemonError('not_permitted', 'this view may not rotate secrets', {
        mend: 'set mayRotate for the view',
      });
    const request = { secret, value: Buffer.from(value, 'base64') };
    return (await this.#rotation.rotate(request, { cause: 'client', by: name })) as unknown as JsonValue;
  }

  #onSession(event: SessionEvent, session: Session): void {
    const { log } = this.#parts;
    const who = { subscriber: session.name, pid: session.pid, session: session.id };
    if (event.kind === 'joined')
      log(session.isObserver ? 'debug' : 'info', 'subscriber_connected', `${session.name} is connected`, who);
    else if (event.kind === 'accepted')
      log('debug', 'subscriber_accepted_snapshot', `${session.name} runs revision ${event.revision}`, {
        ...who,
        applyMs: event.applyMs,
        waitedMs: event.waitedMs,
      });
    else if (event.kind === 'rejected') {
      const { revision, code, paths, message } = event.nack;
      log('warn', 'subscriber_rejected_snapshot', `${session.name} rejects revision ${revision}: ${message}`, {
        ...who,
        revision,
        errorType: code,
        paths,
      });
    } else if (event.kind === 'reported')
      log(event.recovered ? 'info' : 'warn', 'subscriber_report', `${session.name}: ${event.message}`, {
        ...who,
        errorType: event.code,
      });
    else
      log('warn', 'subscriber_refused', `a connection is refused: ${event.message}`, { ...who, errorType: event.code });
  }
}
