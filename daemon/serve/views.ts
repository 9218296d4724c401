import type { JsonValue } from '../../schemas/json.ts';
import type { DaemonState, Nack, Rejecting, Request } from '../../schemas/wire.ts';
import type { Delivery, Snapshot } from '../model/snapshot.ts';
import { orAborted } from '../ops/abort.ts';
import { accountNumber } from '../ops/accounts.ts';
import type { Clock } from '../ops/clock.ts';
import type { Log } from '../ops/log.ts';
import type { Options } from '../ops/options.ts';
import { viewSocket } from '../ops/socket-paths.ts';
import type { ViewOptions } from '../ops/view-options.ts';
import type { Trial } from '../reload/verify-candidate.ts';
import { createFrameCheck } from './check-frame.ts';
import { Deliveries } from './deliveries.ts';
import { Doorkeeper } from './doorkeeper.ts';
import type { Session } from './session.ts';
import type { SessionEvent } from './session-event.ts';
import { View } from './view.ts';
import { ViewServer } from './view-server.ts';

export interface ViewsParts {
  readonly options: Options;
  /** How many connections the process can have open. */
  readonly descriptors: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly state: () => DaemonState;
  readonly answer: (request: Request, session: Session) => Promise<JsonValue>;
  readonly onEvent: (event: SessionEvent, session: Session) => void;
  /** Why programs are refused for their number; `undefined` when there is room again. */
  readonly onFull: (problem: string | undefined) => void;
  /** Every program has answered a revision. */
  readonly onSettled: (revision: number, delivery: Delivery) => void;
  /** Takes secrets out of what a program says. */
  readonly clean: (text: string) => string;
}

/** How the programs took a revision. */
export interface Answers {
  readonly rejectedBy: readonly Rejecting[];
  /** Names of those that have not answered in time. */
  readonly unanswered: readonly string[];
}

/** What a frame needs besides the settings: its head, and the names of what changed. */
const frameOverheadBytes = 1024 * 1024;

/** Every view with its socket, as one. */
export class Views {
  readonly servers: readonly ViewServer[];
  readonly doorkeeper: Doorkeeper;
  /** The groups of the sockets. */
  readonly groups: readonly number[];
  readonly #parts: ViewsParts;
  readonly #deliveries: Deliveries;
  #isOpen = false;

  /** Throws `options_unusable` for accounts that are not there. */
  constructor(parts: ViewsParts) {
    const { options, descriptors } = parts;
    this.#parts = parts;
    this.#deliveries = new Deliveries(parts);
    this.doorkeeper = new Doorkeeper(options, descriptors, parts.onFull);
    const shared = {
      ...parts,
      doorkeeper: this.doorkeeper,
      maxFrameBytes: options.limits.snapshotSize + frameOverheadBytes,
      verifyMs: options.rollout.verifyMs,
      checkFrame: createFrameCheck(),
      onEvent: (event: SessionEvent, session: Session) => this.#onEvent(event, session),
    };
    const groupOf = ({ name, group }: ViewOptions) =>
      group === undefined ? undefined : accountNumber('group', group, `${options.file}: views.${name}`);
    this.servers = options.views.map((view) => {
      const { name, filter, mode, mayRotate } = view;
      return new ViewServer({
        ...shared,
        view: new View(name, filter),
        path: viewSocket(options, name),
        rights: { mode, gid: groupOf(view) },
        mayRotate: mayRotate && options.sources.gcp !== undefined,
      });
    });
    this.groups = options.views.map(groupOf).filter((gid) => gid !== undefined);
  }

  /** Programs, without those that only look on. */
  get programs(): readonly Session[] {
    return this.servers.flatMap(({ sessions }) => sessions.filter(({ isObserver }) => !isObserver));
  }

  /** Programs can connect. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  async start(): Promise<void> {
    for (const server of this.servers) await server.start();
    this.#isOpen = true;
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()));
  }

  /** Everybody is to run this. */
  publish(snapshot: Snapshot): void {
    this.#deliveries.published(snapshot.revision);
    for (const { view, sessions } of this.servers) {
      view.publish(snapshot);
      for (const session of sessions) session.setCanary(false);
    }
    for (const server of this.servers) server.offer();
  }

  /** These are to run it first. */
  stage(snapshot: Snapshot, first: readonly Session[]): void {
    this.#deliveries.published(snapshot.revision);
    for (const { view } of this.servers) view.stage(snapshot);
    for (const session of first) session.setCanary(true);
    for (const server of this.servers) server.offer();
  }

  tellState(state: DaemonState): void {
    for (const server of this.servers) server.tellState(state);
  }

  /** The programs in whose view a snapshot changes something. */
  concernedBy(snapshot: Snapshot): readonly Session[] {
    const concerned = this.servers.filter(({ view }) => view.candidate(snapshot) !== undefined);
    return this.programs.filter(({ view }) => concerned.some((server) => server.view === view));
  }

  /** Has every program try a candidate that wants to, where it changes something for it. Nobody keeps it. */
  async tryOut(candidate: Snapshot, signal: AbortSignal): Promise<Trial> {
    const { verifyMs } = this.#parts.options.rollout;
    const trying = this.servers.flatMap(({ view, sessions }) => {
      const edition = view.candidate(candidate);
      const asked = edition ? sessions.filter(({ verifies }) => verifies) : [];
      return asked.map(async (session) => ({ session, verdict: await session.tryOut(edition!, verifyMs) }));
    });
    const verdicts = await orAborted(Promise.all(trying), signal);
    const rejectedBy = verdicts.flatMap(({ session, verdict }) =>
      verdict.kind === 'rejected' ? [rejectingOf(session, verdict.nack)] : [],
    );
    const silent = verdicts.flatMap(({ session, verdict }) =>
      verdict.kind === 'silent' ? [{ name: session.name, pid: session.pid, why: verdict.why }] : [],
    );
    return { asked: trying.length, rejectedBy, silent };
  }

  /** Milliseconds from the commit of a revision, or from when the program joined if that was later, until now. */
  sincePublished(revision: number, { joinedAt }: Session): number {
    const now = this.#parts.clock.monotonic();
    return now - Math.max(this.#deliveries.publishedAt(revision) ?? now, joinedAt);
  }

  /** Resolves when every program has answered what it was sent, or after a time. */
  allAnswered(withinMs: number): Promise<void> {
    return this.#deliveries.allAnswered(withinMs);
  }

  /** How the programs took a revision, as soon as all have answered or after a time. */
  async answersTo(revision: number, withinMs: number): Promise<Answers> {
    await this.allAnswered(withinMs);
    const { programs } = this;
    const rejecting = programs.filter(({ lastNack }) => lastNack !== undefined && lastNack.revision >= revision);
    const rejectedBy = rejecting.map((session) => rejectingOf(session, session.lastNack!));
    return { rejectedBy, unanswered: programs.filter(({ isAnswering }) => isAnswering).map(({ name }) => name) };
  }

  #onEvent(event: SessionEvent, session: Session): void {
    if (!session.isObserver) this.#count(event);
    this.#parts.onEvent(event, session);
  }

  #count(event: SessionEvent): void {
    if (event.kind === 'sent') this.#deliveries.sent(event.revision);
    else if (event.kind === 'accepted' || event.kind === 'unanswered')
      this.#deliveries.answered(event.revision, event.kind);
    else if (event.kind === 'rejected') this.#deliveries.answered(event.nack.revision, event.kind);
  }
}

export function rejectingOf(
  { name, pid }: Session,
  { code, paths, message }: Pick<Nack, 'code' | 'paths' | 'message'>,
): Rejecting {
  return { name, pid, code, paths, message };
}
