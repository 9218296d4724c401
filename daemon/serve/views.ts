import type { DaemonState, Request } from '../../schemas/wire.ts';
import { plainText } from '../model/plain-text.ts';
import type { Delivery, Snapshot } from '../model/snapshot.ts';
import { accountNumber } from '../ops/accounts.ts';
import type { Clock } from '../ops/clock.ts';
import type { Log } from '../ops/log.ts';
import type { Options } from '../ops/options.ts';
import { viewSocket } from '../ops/socket-paths.ts';
import type { ViewOptions } from '../ops/view-options.ts';
import { Allowances } from './allowance.ts';
import { createFrameCheck } from './check-frame.ts';
import type { Clean } from './clean-nack.ts';
import { Deliveries } from './deliveries.ts';
import { Doorkeeper } from './doorkeeper.ts';
import type { Answer } from './open-requests.ts';
import { type Answers, rejectingOf } from './rejecting.ts';
import { Roster, type RosterKeeper } from './roster.ts';
import type { Session } from './session.ts';
import type { SessionEvent } from './session-event.ts';
import { Verifications, viewsChangedBy } from './verifications.ts';
import { View } from './view.ts';
import { ViewServer } from './view-server.ts';

export interface ViewsParts {
  readonly options: Options;
  /** How many connections the process can have open. */
  readonly descriptors: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly state: () => DaemonState;
  readonly answer: (request: Request, session: Session) => Promise<Answer>;
  readonly onEvent: (event: SessionEvent, session: Session) => void;
  /** Why programs are refused for their number, or are not known; `undefined` when that is over. */
  readonly onTrouble: (what: 'clients' | 'peers', problem: string | undefined) => void;
  /** Every program has answered a revision. */
  readonly onSettled: (revision: number, delivery: Delivery) => void;
  readonly clean: Clean;
  readonly roster: RosterKeeper;
  /** A program said goodbye, and none of its name is left. */
  readonly onGoodbye: (voter: string) => void;
}

/** What a frame needs besides the settings: its head, and the names of what changed. */
const frameOverheadBytes = 1024 * 1024;

/** Every view with its socket, as one. */
export class Views {
  readonly servers: readonly ViewServer[];
  readonly doorkeeper: Doorkeeper;
  readonly #parts: ViewsParts;
  readonly #deliveries: Deliveries;
  readonly roster: Roster;
  /** The programs with `verify`. */
  readonly verifications: Verifications;
  #isOpen = false;

  /** Throws `options_unusable` for accounts that are not there. */
  constructor(parts: ViewsParts) {
    const { options, descriptors } = parts;
    this.#parts = parts;
    this.#deliveries = new Deliveries(parts);
    this.roster = new Roster({ keeper: parts.roster, clock: parts.clock });
    this.doorkeeper = new Doorkeeper(
      options,
      descriptors,
      (problem) => parts.onTrouble('clients', problem),
      (problem) => {
        parts.log('warn', 'peers_unknown', problem);
        if (options.profile === 'production') parts.onTrouble('peers', problem);
      },
    );
    const shared = {
      ...parts,
      doorkeeper: this.doorkeeper,
      allowances: new Allowances(options.limits, parts.clock, parts.log),
      clean: (text: string, as?: 'message') => plainText(parts.clean(text, as)),
      maxFrameBytes: options.limits.snapshotSize + frameOverheadBytes,
      verifyMs: options.rollout.verifyMs,
      checkFrame: createFrameCheck(),
      onEvent: (event: SessionEvent, session: Session) => this.#onEvent(event, session),
    };
    this.servers = options.views.map((view) => {
      const { name, filter, mode, mayRotate, mayVerify } = view;
      return new ViewServer({
        ...shared,
        view: new View(name, filter, mayVerify),
        path: viewSocket(options, name),
        rights: { mode, gid: groupOf(view, options.file) },
        mayRotate: mayRotate && options.sources.gcp !== undefined,
      });
    });
    this.verifications = new Verifications({ servers: this.servers, roster: this.roster });
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
    this.roster.open();
  }

  async stop(): Promise<void> {
    this.roster.close();
    await Promise.all(this.servers.map((server) => server.stop()));
  }

  /** Everybody is to run this, but for those that run what is staged, who get `staged`. */
  publish(snapshot: Snapshot, staged?: Snapshot): void {
    for (const { revision } of [snapshot, staged ?? snapshot]) this.#deliveries.published(revision);
    for (const { view, sessions } of this.servers) {
      view.publish(snapshot, staged);
      if (!staged) for (const session of sessions) session.setCanary(false);
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

  /** The programs in whose view a snapshot changes something, and whether some are expected and not connected. */
  concernedBy(snapshot: Snapshot): { readonly programs: readonly Session[]; readonly isMissing: boolean } {
    const views = viewsChangedBy(this.servers, snapshot);
    const programs = this.programs.filter(({ view }) => views.includes(view.name));
    return { programs, isMissing: this.roster.isMissing(views) };
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

  /** How the programs stand to what they are to run, as soon as all have answered or after a time. */
  async answers(withinMs: number): Promise<Answers> {
    await this.allAnswered(withinMs);
    const { programs } = this;
    const rejecting = programs.filter(({ isRejecting }) => isRejecting);
    const rejectedBy = rejecting.map((session) => rejectingOf(session, session.lastNack!));
    const open = programs.filter(({ isCurrent, isRejecting }) => !isCurrent && !isRejecting);
    return { rejectedBy, unanswered: open.map(({ name }) => name) };
  }

  #onEvent(event: SessionEvent, session: Session): void {
    if (!session.isObserver) {
      this.#deliveries.follow(event);
      this.#follow(event, session);
    }
    this.#parts.onEvent(event, session);
  }

  #follow(event: SessionEvent, { voter, verifies }: Session): void {
    if (event.kind === 'joined') {
      this.roster.joined({ voter, verifies });
      this.verifications.forget(voter);
    } else if (event.kind === 'left' && this.roster.left(voter, event.how === 'goodbye')) {
      this.verifications.forget(voter);
      this.#parts.onGoodbye(voter);
    }
  }
}

/** The groups of the views' sockets. Throws `options_unusable` for one that is not there. */
export function viewGroups({ views, file }: Options): readonly number[] {
  return views.map((view) => groupOf(view, file)).filter((gid) => gid !== undefined);
}

function groupOf({ name, group }: ViewOptions, file: string): number | undefined {
  return group === undefined ? undefined : accountNumber('group', group, `${file}: views.${name}`);
}
