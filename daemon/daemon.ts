import { AdminServer } from './admin/admin-server.ts';
import { ProgramRequests } from './admin/program-requests.ts';
import { Reports } from './admin/reports.ts';
import { DaemonError } from './model/errors.ts';
import type { Actor, ReloadOutcome, Snapshot } from './model/snapshot.ts';
import type { AuditTrail } from './observe/audit-trail.ts';
import { Happenings } from './observe/happenings.ts';
import { Lookouts } from './observe/lookouts.ts';
import { ReloadEnds } from './observe/reload-ends.ts';
import { type Clock, sleep, systemClock } from './ops/clock.ts';
import { spareDescriptors } from './ops/descriptors.ts';
import { Health } from './ops/health.ts';
import { History } from './ops/history.ts';
import type { Log } from './ops/log.ts';
import type { Options } from './ops/options.ts';
import type { Redaction } from './ops/redaction.ts';
import { Rulings } from './ops/rulings.ts';
import { RuntimeFolder } from './ops/runtime-folder.ts';
import { SnapshotKeeper } from './ops/snapshot-keeper.ts';
import { SocketGuard } from './ops/socket-guard.ts';
import { StateStore } from './ops/state-store.ts';
import { StopList } from './ops/stop-list.ts';
import { readVersion } from './ops/version.ts';
import { CommitGate } from './reload/commit-gate.ts';
import { loadAppSchema } from './reload/load-app-schema.ts';
import { Refusals } from './reload/refusals.ts';
import type { ReloadRequest } from './reload/reload-request.ts';
import { Reloader, type RollbackRequest } from './reload/reloader.ts';
import { SettleWindow } from './reload/settle-window.ts';
import { SnapshotStore } from './reload/snapshot-store.ts';
import { logSessionEvent } from './serve/describe-session-event.ts';
import { LostVotes } from './serve/lost-votes.ts';
import { Rollout } from './serve/rollout.ts';
import { Rotation } from './serve/rotation.ts';
import type { Session } from './serve/session.ts';
import type { SessionEvent } from './serve/session-event.ts';
import { Views, viewGroups } from './serve/views.ts';
import { sourceSets } from './sources/create-sources.ts';
import { GcpSource } from './sources/gcp/gcp-source.ts';
import { type Source, watchProblem } from './sources/source.ts';

export interface DaemonParts {
  readonly options: Options;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Log;
  readonly redaction: Redaction;
  readonly clock?: Clock;
}

const answersWithinMs = 5_000;
/** A rotation is not over before the programs have answered; so long it may take. */
const rotationWithinMs = 30_000;
/** Sources that do not answer at a start are waited for so long when there is something to serve meanwhile. */
const serveKeptAfterMs = 1_000;

/**
 * The composition root: builds each part once and starts them in order. State folder, last known good, sources armed,
 * everything read, then the sockets; what was started is stopped in reverse order, after a failed start too.
 */
export class Daemon {
  readonly reports: Reports;
  readonly #parts: DaemonParts & { readonly clock: Clock };
  readonly #folder: RuntimeFolder;
  readonly #state: StateStore;
  readonly #keeper: SnapshotKeeper;
  readonly #sources: readonly Source[];
  readonly #settle: SettleWindow;
  readonly #health: Health;
  readonly #store: SnapshotStore;
  readonly #reloader: Reloader;
  readonly #views: Views;
  readonly #rollout: Rollout;
  readonly #happenings: Happenings;
  readonly #lookouts: Lookouts;
  readonly #admin: AdminServer;
  readonly #rotation: Rotation;
  readonly #history: History;
  readonly #rulings: Rulings;
  readonly #refusals: Refusals;
  readonly #stop = new AbortController();
  readonly #started = new StopList();
  readonly #lostVotes = new LostVotes((problem) => this.#health.setDegraded('votes', problem));
  #starting: Promise<Snapshot> | undefined;
  #running: Promise<void> = Promise.resolve();

  /** Takes the state folder. Throws what is wrong with options, schema, folders or the process environment. */
  constructor(given: DaemonParts) {
    const parts = { clock: systemClock, ...given };
    this.#parts = parts;
    const { options, log, env, redaction, clock } = parts;
    const { signal } = this.#stop;
    const version = readVersion();
    this.#happenings = new Happenings(log);
    const { schema, doubts, ...validation } = loadAppSchema(options.schema);
    for (const doubt of doubts) log('warn', 'schema_doubtful', `${options.schema}: ${doubt}`, {});
    const instance = () => this.#state.epoch;
    const onWatchHealth = () => this.#health.setDegraded('watch', watchProblem(this.#sources));
    const openSources = sourceSets({ options, env, schema, redaction, clock, log, onWatchHealth, instance });
    this.#sources = openSources();
    this.#health = new Health({
      clock,
      log,
      // A pin from before a restart degrades it before there are programs.
      onChange: (state) => this.#views?.tellState(state),
      clean: (text) => redaction.clean(text),
      onTrouble: (trouble, isOver) => this.#happenings.tell({ kind: isOver ? 'recovery' : 'trouble', trouble }),
    });
    const intend: AuditTrail['intend'] = (...intent) => this.#lookouts.audit.intend(...intent);
    const requests = new ProgramRequests({
      views: options.views,
      happenings: this.#happenings,
      intend,
      reports: () => this.reports,
      reload: (actor) => this.reload(actor),
      preview: () => this.#reloader.loaded.look(signal),
      rotation: () => this.#rotation,
    });
    this.#folder = new RuntimeFolder(options.runtimeDir, viewGroups(options), options.runtimeDirMode);
    this.#state = StateStore.open(options.stateDir);
    const onUnsaved = (error: unknown) => {
      const reason = `the state folder cannot be written: ${(error as Error).message}`;
      log('error', 'state_unsaved', reason, { stateDir: options.stateDir });
      this.#health.setDegraded('state', reason);
    };
    this.#rulings = new Rulings({ state: this.#state, health: this.#health, log, onUnsaved });
    this.#views = new Views({
      options,
      descriptors: spareDescriptors(),
      clock,
      log,
      state: () => this.#health.state,
      answer: (request, session) => requests.answer(request, session),
      onEvent: (event, session) => this.#onSession(event, session),
      onTrouble: (...trouble) => this.#health.setDegraded(...trouble),
      onSettled: (revision, delivery) => this.#history.delivered(revision, delivery),
      clean: (text, as) => (as ? redaction.cleanMessage(text) : redaction.clean(text)),
      roster: this.#rulings,
      onGoodbye: (voter) => this.#refusals.forgetVoter(voter),
    });
    this.#lookouts = new Lookouts({
      ...parts,
      version,
      happenings: this.#happenings,
      head: this.#state,
      sources: this.#sources,
      programs: () => this.#views.programs,
      current: () => this.#store.current,
      health: this.#health,
      status: () => this.reports.line(),
    });
    this.#history = new History({ state: this.#state, redaction, onUnsaved });
    this.#keeper = new SnapshotKeeper({
      options,
      env,
      state: this.#state,
      clock,
      log,
      onProblem: (problem) => this.#health.setDegraded('last-known-good', problem),
      onRefused: (problem) => this.#health.setDegraded('last-known-good-refused', problem),
    });
    this.#store = new SnapshotStore({
      lineage: this.#state,
      schema,
      clock,
      keep: options.lastKnownGood.keep,
      onUnsaved,
      secrets: redaction,
    });
    this.#rollout = new Rollout({
      keeper: this.#rulings,
      options: options.rollout,
      views: this.#views,
      clock,
      log,
      onDone: (snapshot) => this.#keeper.save(snapshot),
      onWithdraw: (...withdrawal) => void this.#reloader.withdraw(...withdrawal),
    });
    this.#settle = new SettleWindow(options.reload, clock);
    const onDue = (sourceIds: ReadonlySet<string>) => this.#settle.addAll(sourceIds, 'retry');
    this.#refusals = new Refusals({ keeper: this.#rulings, clock, random: Math.random, onDue });
    const gate = new CommitGate({
      store: this.#store,
      ...validation,
      voters: this.#views.verifications,
      pins: this.#rulings,
      refusals: this.#refusals,
      publisher: this.#rollout,
      maxSnapshotBytes: options.limits.snapshotSize,
      maxRemoved: options.reload.maxRemoved,
    });
    const reloadEnds = new ReloadEnds({
      environment: options.environment,
      log,
      history: this.#history,
      health: this.#health,
      happenings: this.#happenings,
      store: this.#store,
      problems: () => this.#reloader.problems(),
    });
    this.#reloader = new Reloader({
      sources: this.#sources,
      freshSources: () => openSources(() => {}),
      settle: this.#settle,
      store: this.#store,
      gate,
      refusals: this.#refusals,
      pins: this.#rulings,
      partsOf: async (revision) => redaction.remembered(this.#keeper.partsOf(revision, this.#store.kept)),
      clock,
      deadlineMs: options.reload.deadlineMs,
      minIntervalMs: options.reload.minIntervalMs,
      startWaitMs: options.reload.startWaitMs,
      onWaiting: ({ code, message }) =>
        log('warn', 'start_waiting', `waiting for a source: ${message}`, { errorType: code }),
      onStart: ({ cause }, hints) => {
        log('debug', 'config_reload_started', `reading (${cause})`, { trigger: cause, hints });
        this.#happenings.tell({ kind: 'reloading', cause });
      },
      onEnd: (...end) => reloadEnds.add(...end),
    });
    const gcp = this.#sources.find((source) => source instanceof GcpSource);
    this.#rotation = new Rotation({
      source: gcp,
      reload: (actor) => this.#reloader.reloadNow(new Set([gcp!.id]), actor, signal),
      answersTo: (revision) => this.#rollout.answersTo(revision, rotationWithinMs),
      store: this.#store,
      pins: this.#rulings,
      log,
      signal,
    });
    this.reports = new Reports({
      options,
      version,
      schema,
      store: this.#store,
      sources: this.#sources,
      health: this.#health,
      views: this.#views,
      rollout: this.#rollout,
      pins: this.#rulings,
      held: () => this.#reloader.held(),
      history: (limit) => this.#state.records(limit),
      kept: () => this.#keeper.revisions(this.#store.kept),
      clock,
      phase: () => (signal.aborted ? 'stopping' : this.#views.isOpen ? 'serving' : 'starting'),
      audit: () => this.#lookouts.auditStatus,
    });
    this.#admin = new AdminServer({
      ...parts,
      reports: this.reports,
      happenings: this.#happenings,
      meters: this.#lookouts.meters,
      intend,
      isReloading: (asked) => this.#reloader.isReloadingAll(asked),
      reload: (...asked) => this.reload(...asked),
      rollback: (...asked) => this.rollback(...asked),
      unpin: (actor) => this.#reloader.unpin(redaction.cleanActor(actor), signal),
      preview: () => this.#reloader.preview(signal),
      allAnswered: () => this.#views.allAnswered(answersWithinMs),
      rotate: (...asked) => this.#rotation.rotate(...asked),
      peerOf: (socket) => this.#views.doorkeeper.peerOf(socket),
      onTokenProblem: (problem) => this.#health.setDegraded('tokens', problem),
    });
  }

  /** Resolves when the first snapshot is served. Throws why it cannot be; everything is then stopped again. */
  async start(): Promise<Snapshot> {
    this.#starting = this.#startAll();
    try {
      return await this.#starting;
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async #startAll(): Promise<Snapshot> {
    this.#started.add(() => this.#state.close());
    await this.#startPart(this.#folder);
    this.#started.add(() => this.#keeper.close());
    this.#started.add(() => this.#refusals.stop());
    for (const source of this.#sources) this.#started.add(() => source.close());
    // First, so that no reload that a signal or an operator asks for comes before it.
    const isKept = this.#restore();
    await this.#startPart(this.#lookouts);
    await this.#startPart(this.#admin);
    const live = this.#goLive(isKept);
    this.#running = live;
    // What is kept waits for no source that does not answer, nor for programs, which cannot be back before.
    const { wanted } = this.#views.roster;
    await (isKept ? Promise.race([live, wanted, sleep(this.#parts.clock, serveKeptAfterMs)]) : live);
    this.#assertStarting();
    this.#health.setProblems(this.#reloader.problems());
    await this.#startPart(this.#views);
    this.#started.add(() => this.#rollout.stop());
    await this.#startPart(this.#guard());
    this.#running = live.then(() => this.#reloader.run(this.#stop.signal));
    this.#happenings.tell({ kind: 'ready', revision: this.#store.current!.revision });
    return this.#store.current!;
  }

  /** Reads every source again. */
  reload(actor: Actor, asked: ReloadRequest = {}): Promise<ReloadOutcome> {
    return this.#reloader.reloadAll(this.#parts.redaction.cleanActor(actor), this.#stop.signal, asked);
  }

  /** Commits the content of an earlier revision as a new one, and pins it. */
  rollback(request: RollbackRequest, actor: Omit<Actor, 'cause'>): Promise<ReloadOutcome> {
    return this.#reloader.rollback(request, this.#parts.redaction.cleanActor(actor), this.#stop.signal);
  }

  /** Something failed that no part caught. True where the daemon goes on: it serves a snapshot. */
  survive(what: string): boolean {
    if (!this.#views.isOpen || this.#stop.signal.aborted) return false;
    this.#happenings.tell({ kind: 'unexpected' });
    this.#health.setDegraded('unexpected', `${what}; see the log, and restart it at the next occasion`);
    return true;
  }

  /** Rejects when a part that should run for ever has failed. */
  get running(): Promise<void> {
    return this.#running;
  }

  async stop(): Promise<void> {
    if (!this.#stop.signal.aborted) this.#happenings.tell({ kind: 'stopping' });
    this.#stop.abort();
    // A part that is being started is there to be stopped only after that.
    await this.#starting?.catch(() => {});
    await this.#running.catch(() => {});
    await this.#started.stopAll(this.#parts.log);
  }

  /** Serves what was served before a restart, if that is kept. */
  #restore(): boolean {
    const kept = this.#keeper.newest();
    try {
      if (kept) {
        const { revision, epoch, committedAt } = this.#reloader.restore(kept);
        const message = `revision ${revision} of ${committedAt} is at hand until the sources have been read`;
        this.#parts.log('info', 'snapshot_restored', message, { revision, epoch });
      }
    } catch (error) {
      this.#keeper.refuse(error);
    }
    this.#rulings.keepPinOf(this.#store.current?.revision);
    return this.#store.current !== undefined;
  }

  /** Arms the sources and reads them. Where something is served already, what cannot be read is a rejected reload. */
  async #goLive(isKept: boolean): Promise<void> {
    // Armed before it is read, so that nothing falls between.
    if (this.#parts.options.hotReload) await this.#watchSources();
    const outcome = await this.reload({ cause: 'start' });
    if (outcome.kind !== 'rejected') return;
    if (!isKept) throw outcome.error;
    // What is wrong is told, and holds up nothing else.
    await this.#reloader.reloadNow(new Set(this.#sources.map(({ id }) => id)), { cause: 'start' }, this.#stop.signal);
  }

  async #watchSources(): Promise<void> {
    for (const source of this.#sources) {
      const watch = await source.watch((hint) => this.#settle.add(hint));
      this.#started.add(async () => watch[Symbol.asyncDispose]());
    }
  }

  #guard(): SocketGuard {
    return new SocketGuard({
      ...this.#parts,
      files: [...this.#views.servers, this.#admin].map(({ file }) => file),
      prepareFolder: () => this.#folder.restore(),
      onProblem: (problem) => this.#health.setDegraded('sockets', problem),
    });
  }

  /** Throws `shutting_down` when a stop came during the start. */
  async #startPart(part: { start(): Promise<void>; stop(): Promise<void> }): Promise<void> {
    this.#assertStarting();
    this.#started.add(() => part.stop());
    await part.start();
    this.#assertStarting();
  }

  #assertStarting(): void {
    if (this.#stop.signal.aborted) throw new DaemonError('shutting_down', 'the daemon was stopped while it started');
  }

  #onSession(event: SessionEvent, session: Session): void {
    logSessionEvent(event, session, this.#parts.log);
    const sinceCommitMs = event.kind === 'accepted' ? this.#views.sincePublished(event.revision, session) : undefined;
    this.#happenings.tell({ kind: 'session', event, session, sinceCommitMs });
    this.#rollout.onSession(event, session);
    // All programs get a new epoch, so one that does not see everything has no say in it.
    if (event.kind === 'ahead' && session.view.filter.isAll) void this.#reloader.outrun(event.revision);
    this.#lostVotes.follow(event, session);
  }
}
