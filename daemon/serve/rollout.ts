import { parsePath } from '../../schemas/paths.ts';
import type { Rejecting } from '../../schemas/wire.ts';
import { DaemonError } from '../model/errors.ts';
import type { Snapshot } from '../model/snapshot.ts';
import { type Clock, sleep, timestamp } from '../ops/clock.ts';
import type { Log } from '../ops/log.ts';
import type { RolloutOptions } from '../ops/view-options.ts';
import type { Publisher } from '../reload/commit-gate.ts';
import { chooseCanaries, isNamed } from './choose-canaries.ts';
import type { Answers } from './rejecting.ts';
import { rejectingOf } from './rejecting.ts';
import { returnMs } from './roster.ts';
import type { Session } from './session.ts';
import type { SessionEvent } from './session-event.ts';
import type { Views } from './views.ts';

/** Where it survives a restart who runs what is staged. */
export interface StageKeeper {
  /** As `view/name`; empty when nothing is staged. */
  staged: readonly string[];
}

export interface RolloutParts {
  readonly keeper: StageKeeper;
  readonly options: RolloutOptions;
  readonly views: Views;
  readonly clock: Clock;
  readonly log: Log;
  /** Everybody is to run this now. */
  readonly onDone: (snapshot: Snapshot) => void;
  /** Too many of the first reject it: what all ran before is to come back. `voters`: those, as `view/name`. */
  readonly onWithdraw: (
    snapshot: Snapshot,
    stable: Snapshot,
    rejectedBy: readonly Rejecting[],
    voters: readonly string[],
  ) => void;
}

/** A snapshot that some programs run and the others do not yet. */
export interface Stage {
  readonly revision: number;
  /** What the others run. */
  readonly stable: number;
  /** Names of those that run it first; empty while none of those that are expected is connected. */
  readonly first: readonly string[];
  /** ISO 8601. */
  readonly until: string;
}

interface Baking {
  readonly snapshot: Snapshot;
  readonly first: Set<Session>;
  readonly rejected: Map<Session, Rejecting>;
  until: string;
  cancel: () => void;
  isExtended: boolean;
  readonly over: PromiseWithResolvers<void>;
}

/** Withdrawals that are remembered, so that who asks later gets to know who rejected. */
const maxWithdrawals = 16;

/**
 * Brings each committed snapshot to the programs: to all at once, or to some first. What those accept bakes, and then
 * goes to the rest; what they reject is withdrawn. Where none of the programs that are expected is connected, the first
 * that comes is the one to try it.
 */
export class Rollout implements Publisher {
  readonly #parts: RolloutParts;
  readonly #withdrawn = new Map<number, readonly Rejecting[]>();
  #stable: Snapshot | undefined;
  #baking: Baking | undefined;
  #isStopped = false;
  /** Ran what was staged when the daemon was stopped. */
  #before: ReadonlySet<string>;

  constructor(parts: RolloutParts) {
    this.#parts = parts;
    this.#before = new Set(parts.keeper.staged);
  }

  get stage(): Stage | undefined {
    const baking = this.#baking;
    if (!baking) return undefined;
    const first = [...baking.first].map(({ name }) => name);
    return { revision: baking.snapshot.revision, stable: this.#stable!.revision, first, until: baking.until };
  }

  get stable(): Snapshot | undefined {
    return this.#baking && this.#stable;
  }

  get isStaging(): boolean {
    return this.#parts.options.canary !== undefined;
  }

  isUrgent(paths: readonly string[]): boolean {
    const { urgent } = this.#parts.options;
    return paths.some((text) => urgent.covers(parsePath(text) ?? []));
  }

  publish(snapshot: Snapshot): void {
    const { options, views } = this.#parts;
    const { canary } = options;
    const isUrgent = this.isUrgent([...snapshot.changed, ...snapshot.removed]);
    // Only a rollout that may be staged needs to know whom it concerns.
    const concerned = canary && this.#stable && !isUrgent ? views.concernedBy(snapshot) : undefined;
    const { programs = [], isMissing = false } = concerned ?? {};
    this.#end();
    if (!canary || (programs.length === 0 && !isMissing)) return this.#skip(snapshot);
    const first = chooseCanaries(programs, canary, this.#before);
    const mayWait = this.#before.size > 0 && !first.some(({ voter }) => this.#before.has(voter));
    this.#bake(snapshot, mayWait ? [] : first);
    if (mayWait) this.#waitForReturn(snapshot);
  }

  #skip(snapshot: Snapshot): void {
    const { revision } = snapshot;
    if (this.#before.size > 0 && !this.#stable) {
      const what = `revision ${revision} goes to all: some programs were still trying it when the daemon stopped, and nothing older is kept (set lastKnownGood.keyFile)`;
      this.#parts.log('warn', 'rollout_skipped', what, { revision });
    }
    this.#before = new Set();
    this.#toAll(snapshot);
  }

  /** Others try it only when those that had it before the restart do not come back. */
  #waitForReturn(snapshot: Snapshot): void {
    const baking = this.#baking!;
    this.#parts.clock.after(returnMs, () => {
      if (this.#baking !== baking || baking.first.size > 0) return;
      this.#before = new Set();
      this.publish(snapshot);
    });
  }

  publishToAll(snapshot: Snapshot, staged?: Snapshot): void {
    const { first, snapshot: baking } = this.#baking ?? {};
    const { revision } = snapshot;
    if (baking?.revision === revision)
      this.#parts.log('info', 'rollout_promoted', `revision ${revision} goes to all before it has baked`, { revision });
    this.#end();
    if (!staged) return this.#toAll(snapshot);
    const canaries = first ?? new Set(this.#chooseFor(staged));
    for (const session of canaries) session.setCanary(true);
    this.#toAll(snapshot, staged);
    this.#begin(staged, canaries);
    this.#logStaged(staged, [...canaries]);
  }

  #chooseFor(snapshot: Snapshot): readonly Session[] {
    const { options, views } = this.#parts;
    return chooseCanaries(views.concernedBy(snapshot).programs, options.canary!, this.#before);
  }

  /** The daemon is stopping: who leaves from now on says nothing about what it ran. */
  stop(): void {
    this.#isStopped = true;
    this.#end();
  }

  /** Follows what the first programs do with what they were given. */
  onSession(event: SessionEvent, session: Session): void {
    const baking = this.#baking;
    if (!baking || this.#isStopped) return;
    if (event.kind === 'joined') this.#join(session);
    if (!baking.first.has(session)) return;
    // What is staged now may change nothing in its view, and then it has no say in it.
    const isTrying = session.view.staged !== undefined;
    if (event.kind === 'rejected' && event.nack.revision === session.view.staged?.seen.revision)
      this.#reject(session, event.nack);
    else if (event.kind === 'reported' && !event.recovered && isTrying) this.#reject(session, { ...event, paths: [] });
    else if (event.kind === 'left' && (event.how !== 'lost' || !isTrying)) this.#leave(session);
    else if (event.kind === 'left')
      this.#reject(session, { code: 'lost', paths: [], message: 'its connection was lost' });
  }

  /**
   * How the programs took a revision, when it, or what was staged on top of it, has gone to all or was withdrawn. Throws
   * `shutting_down`.
   */
  async answersTo(revision: number, withinMs: number): Promise<Answers> {
    const { options, views, clock } = this.#parts;
    const untilMs = clock.monotonic() + (options.canary?.bakeMs ?? 0) + withinMs;
    while (this.#baking && clock.monotonic() < untilMs) {
      await Promise.race([this.#baking.over.promise, sleep(clock, untilMs - clock.monotonic())]);
    }
    this.#assertRunning();
    const rejectedBy = this.#withdrawn.get(revision);
    if (rejectedBy) return { rejectedBy, unanswered: [] };
    const answers = await views.answers(withinMs);
    this.#assertRunning();
    // What still bakes is not what all run.
    const waiting = this.#baking ? views.programs.filter(({ isCanary }) => !isCanary).map(({ name }) => name) : [];
    return { ...answers, unanswered: [...new Set([...answers.unanswered, ...waiting])] };
  }

  #assertRunning(): void {
    if (this.#isStopped) throw new DaemonError('shutting_down', 'the daemon is stopping: not all programs run it yet');
  }

  #toAll(snapshot: Snapshot, staged?: Snapshot): void {
    this.#stable = snapshot;
    this.#parts.views.publish(snapshot, staged);
    this.#parts.onDone(snapshot);
    // A start that serves what is kept has not decided yet about what was staged.
    if (!staged && this.#before.size === 0) this.#keep();
  }

  #keep(): void {
    const { keeper } = this.#parts;
    const staged = [...(this.#baking?.first ?? [])].map(({ voter }) => voter);
    if (staged.length > 0) this.#before = new Set();
    if (staged.length > 0 || keeper.staged.length > 0) keeper.staged = staged;
  }

  #bake(snapshot: Snapshot, first: readonly Session[]): void {
    this.#begin(snapshot, new Set(first));
    this.#logStaged(snapshot, first);
    this.#parts.views.stage(snapshot, first);
  }

  #logStaged({ revision }: Snapshot, first: readonly Session[]): void {
    const { options, views, clock, log } = this.#parts;
    const { bakeMs } = options.canary!;
    const names = first.map(({ name }) => name);
    const who = first.length > 0 ? names.join(', ') : 'the first that comes back';
    const what = `revision ${revision} goes to ${first.length} of ${views.programs.length} programs first: ${who}`;
    log('info', 'rollout_staged', what, { revision, first: names, bakeMs, at: timestamp(clock) });
  }

  #begin(snapshot: Snapshot, first: Set<Session>): void {
    const over = Promise.withResolvers<void>();
    this.#baking = { snapshot, first, rejected: new Map(), until: '', cancel: () => {}, isExtended: false, over };
    this.#startBake(this.#baking);
    if (first.size > 0) this.#keep();
  }

  #startBake(baking: Baking): void {
    const { options, clock } = this.#parts;
    const { bakeMs } = options.canary!;
    baking.cancel();
    baking.cancel = clock.after(bakeMs, () => this.#baked());
    baking.until = new Date(clock.wall() + bakeMs).toISOString();
  }

  /** A program that ran it before goes on; one that the options name, or the first that comes where nobody was there, tries it. */
  #join(session: Session): void {
    const baking = this.#baking!;
    if (session.isObserver || session.view.staged === undefined) return;
    const isEmpty = baking.first.size === 0 && baking.rejected.size === 0;
    const isFirst = isEmpty && (this.#before.size === 0 || this.#before.has(session.voter));
    if (!session.isCanary && !isFirst && !isNamed(session, this.#parts.options.canary!)) return;
    session.setCanary(true);
    baking.first.add(session);
    const { revision } = baking.snapshot;
    const what = `${session.name} tries revision ${revision} too`;
    this.#parts.log('info', 'rollout_joined', what, { revision, subscriber: session.name });
    if (isEmpty) this.#startBake(baking);
    this.#keep();
  }

  #baked(): void {
    const baking = this.#baking!;
    const { log, views } = this.#parts;
    if (baking.first.size === 0) views.roster.forgetMissing();
    const isOwing = (session: Session) => session.view.staged && !session.isCurrent && session.isAnswering;
    const unanswered = [...baking.first].filter(isOwing);
    // A program that was still working on an earlier revision has the time once more.
    if (unanswered.length > 0 && !baking.isExtended) {
      baking.isExtended = true;
      return this.#startBake(baking);
    }
    for (const session of unanswered) {
      if (this.#baking !== baking) return;
      this.#reject(session, { code: 'unanswered', paths: [], message: 'it has not answered' });
    }
    if (this.#baking !== baking) return;
    const { revision } = baking.snapshot;
    log('info', 'rollout_completed', `revision ${revision} has baked and goes to all`, { revision });
    this.#end();
    this.#toAll(baking.snapshot);
  }

  #reject(session: Session, why: Pick<Rejecting, 'code' | 'paths' | 'message'>): void {
    const { snapshot, rejected } = this.#baking!;
    rejected.set(session, rejectingOf(session, why));
    if (rejected.size <= this.#parts.options.canary!.maxRejected) return;
    const rejectedBy = [...rejected.values()];
    const voters = [...rejected.keys()].map(({ voter }) => voter);
    this.#withdrawn.set(snapshot.revision, rejectedBy);
    for (const oldest of this.#withdrawn.keys())
      if (this.#withdrawn.size > maxWithdrawals) this.#withdrawn.delete(oldest);
    this.#end();
    this.#parts.onWithdraw(snapshot, this.#stable!, rejectedBy, voters);
  }

  /** The last of the first has gone, of its own will: others have to try it. */
  #leave(session: Session): void {
    const { first, rejected, snapshot } = this.#baking!;
    first.delete(session);
    if (first.size === 0 && rejected.size === 0) this.publish(snapshot);
  }

  #end(): void {
    this.#baking?.cancel();
    this.#baking?.over.resolve();
    this.#baking = undefined;
  }
}
