import { parsePath } from '../../schemas/paths.ts';
import type { Rejecting } from '../../schemas/wire.ts';
import type { Snapshot } from '../model/snapshot.ts';
import { type Clock, sleep, timestamp } from '../ops/clock.ts';
import type { Log } from '../ops/log.ts';
import type { RolloutOptions } from '../ops/view-options.ts';
import type { Session } from './session.ts';
import type { SessionEvent } from './session-event.ts';
import { type Answers, rejectingOf, type Views } from './views.ts';

export interface RolloutParts {
  readonly options: RolloutOptions;
  readonly views: Views;
  readonly clock: Clock;
  readonly log: Log;
  /** Everybody is to run this now. */
  readonly onDone: (snapshot: Snapshot) => void;
  /** Too many of the first reject it: what all ran before is to come back. */
  readonly onWithdraw: (snapshot: Snapshot, stable: Snapshot, rejectedBy: readonly Rejecting[]) => void;
}

/** A snapshot that some programs run and the others do not yet. */
export interface Stage {
  readonly revision: number;
  /** What the others run. */
  readonly stable: number;
  /** Names of those that run it first. */
  readonly first: readonly string[];
  /** ISO 8601. */
  readonly until: string;
}

interface Baking {
  readonly snapshot: Snapshot;
  readonly first: Set<Session>;
  readonly rejected: Map<Session, Rejecting>;
  readonly until: string;
  readonly cancel: () => void;
  readonly over: PromiseWithResolvers<void>;
}

/** Withdrawals that are remembered, so that who asks later is told who rejected. */
const keptWithdrawals = 16;

/**
 * Brings each committed snapshot to the programs: to all at once, or to some first. What those accept bakes, and then
 * goes to the rest; what they reject is withdrawn.
 */
export class Rollout {
  readonly #parts: RolloutParts;
  readonly #withdrawn = new Map<number, readonly Rejecting[]>();
  #stable: Snapshot | undefined;
  #baking: Baking | undefined;

  constructor(parts: RolloutParts) {
    this.#parts = parts;
  }

  get stage(): Stage | undefined {
    const baking = this.#baking;
    if (!baking) return undefined;
    const first = [...baking.first].map(({ name }) => name);
    return { revision: baking.snapshot.revision, stable: this.#stable!.revision, first, until: baking.until };
  }

  publish(snapshot: Snapshot): void {
    const first = this.#stable ? this.#chooseFirst(snapshot) : [];
    this.#end();
    if (first.length > 0) this.#bake(snapshot, first);
    else this.#toAll(snapshot);
  }

  /** Follows what the first programs do with what they were given. */
  onSession(event: SessionEvent, session: Session): void {
    const baking = this.#baking;
    if (!baking) return;
    if (event.kind === 'joined' && session.isCanary) baking.first.add(session);
    if (!baking.first.has(session)) return;
    if (event.kind === 'rejected' && event.nack.revision === baking.snapshot.revision)
      this.#reject(session, event.nack);
    else if (event.kind === 'reported' && !event.recovered) this.#reject(session, { ...event, paths: [] });
    else if (event.kind === 'left' && event.isClean) this.#leave(session);
    else if (event.kind === 'left')
      this.#reject(session, { code: 'lost', paths: [], message: 'its connection was lost' });
  }

  /** How the programs took a revision, when it has gone to all or was withdrawn; or after a time beyond the baking. */
  async answersTo(revision: number, withinMs: number): Promise<Answers> {
    const { options, views, clock } = this.#parts;
    if (this.#baking)
      await Promise.race([this.#baking.over.promise, sleep(clock, (options.canary?.bakeMs ?? 0) + withinMs)]);
    const rejectedBy = this.#withdrawn.get(revision);
    return rejectedBy ? { rejectedBy, unanswered: [] } : views.answersTo(revision, withinMs);
  }

  #toAll(snapshot: Snapshot): void {
    this.#stable = snapshot;
    this.#parts.views.publish(snapshot);
    this.#parts.onDone(snapshot);
  }

  #bake(snapshot: Snapshot, first: readonly Session[]): void {
    const { options, views, clock, log } = this.#parts;
    const { bakeMs } = options.canary!;
    this.#baking = {
      snapshot,
      first: new Set(first),
      rejected: new Map(),
      until: new Date(clock.wall() + bakeMs).toISOString(),
      cancel: clock.after(bakeMs, () => this.#baked()),
      over: Promise.withResolvers<void>(),
    };
    const { revision } = snapshot;
    const names = first.map(({ name }) => name);
    const what = `revision ${revision} goes to ${first.length} of ${views.programs.length} programs first: ${names.join(', ')}`;
    log('info', 'rollout_staged', what, { revision, first: names, bakeMs, at: timestamp(clock) });
    views.stage(snapshot, first);
  }

  #baked(): void {
    const baking = this.#baking!;
    const { log } = this.#parts;
    for (const session of baking.first) {
      if (session.held !== baking.snapshot.revision && session.isAnswering)
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
    this.#withdrawn.set(snapshot.revision, rejectedBy);
    for (const oldest of this.#withdrawn.keys())
      if (this.#withdrawn.size > keptWithdrawals) this.#withdrawn.delete(oldest);
    this.#end();
    this.#parts.onWithdraw(snapshot, this.#stable!, rejectedBy);
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

  /** Nobody, when it is to go to all at once. */
  #chooseFirst(snapshot: Snapshot): readonly Session[] {
    const { views, options } = this.#parts;
    const { canary, urgent } = options;
    const touched = [...snapshot.changed, ...snapshot.removed].map((text) => parsePath(text) ?? []);
    if (!canary || snapshot.cause === 'rollback' || touched.some((path) => urgent.covers(path))) return [];
    const concerned = views.concernedBy(snapshot);
    const isNamed = ({ name }: Session) => canary.subscribers.includes(name);
    const count = Math.max(Math.ceil(concerned.length * canary.share), concerned.some(isNamed) ? 0 : 1);
    // Who tries the one before tries this one too: going back and forth would help nobody.
    const others = concerned
      .filter((session) => !isNamed(session))
      .sort((a, b) => Number(b.isCanary) - Number(a.isCanary));
    const named = concerned.filter(isNamed);
    return [...named, ...others.slice(0, Math.max(0, count - named.length))];
  }
}
