import type { RequestKind } from '../../schemas/wire.ts';
import { Bucket, type Rate } from '../ops/bucket.ts';
import type { Clock } from '../ops/clock.ts';
import type { Log } from '../ops/log.ts';
import type { Peer } from './peer.ts';
import { type AllowanceLimits, UserShare } from './user-share.ts';

/** A program's frames that are taken whatever other programs of its user send, a second. */
const ownFrames: Rate = { perSecond: 10, burst: 64 };
/** A connection begins with fewer, or it would pay to connect again. */
const firstFrames = 16;
/** In frames. */
const connectionCost = 4;
const requestsPerUser = 5;
const requestBurst = 5;
/** One program's share of what its user's programs may have logged. */
const logShare = 1 / 8;
/** Answers that may be outstanding, and the longest one that costs nothing, in frames. */
const maxExpected = 64;
const answerFrames = 2;
/** What a connection may keep unread or unfinished, in characters, before it counts for its user. */
const freeUnread = 4_096;
const windowMs = 60_000;
const maxShares = 256;

/**
 * The one place that decides what a peer may cost: frames, requests, bytes kept for it and bytes of the log, for each
 * connection and for all of one user together. A program within {@link ownFrames} is never held up by others.
 */
export class Allowances {
  readonly #limits: AllowanceLimits;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #shares = new Map<number | string, UserShare>();
  #toldAt: number;

  constructor(limits: AllowanceLimits, clock: Clock, log: Log) {
    this.#limits = limits;
    this.#clock = clock;
    this.#log = log;
    this.#toldAt = clock.monotonic();
  }

  /** For a new connection; {@link Allowance.end} ends it. Where users are not known, a socket has half of a user's share. */
  of(view: string, peer: Peer | undefined): Allowance {
    const key = peer?.uid ?? view;
    let share = this.#shares.get(key);
    if (!share) {
      const now = this.#clock.monotonic();
      this.#forgetOld(now);
      share = new UserShare(peer ? { uid: peer.uid } : { view }, peer ? 1 : 0.5, this.#limits, now);
      this.#shares.set(key, share);
    }
    return new Allowance(this.#limits, view, share, this.#clock);
  }

  /** Logs, once a minute, how many lines of each user were left out. */
  summarize(): void {
    const now = this.#clock.monotonic();
    if (now - this.#toldAt < windowMs) return;
    this.#toldAt = now;
    for (const share of this.#shares.values()) {
      const { leftOut, who } = share;
      if (leftOut === 0) continue;
      share.leftOut = 0;
      const message = `${leftOut} more lines about programs are left out (limits.logPerMinute)`;
      this.#log('warn', 'program_lines_left_out', message, { ...who, leftOut });
    }
  }

  /** Who has nothing to pay loses nothing by that. */
  #forgetOld(now: number): void {
    if (this.#shares.size < maxShares) return;
    for (const [key, { connections, leftOut, frames, log }] of this.#shares)
      if (connections + leftOut === 0 && frames.isFull(now) && log.isFull(now)) this.#shares.delete(key);
  }
}

/** What one connection may cost. */
export class Allowance {
  readonly #limits: AllowanceLimits;
  readonly #view: string;
  readonly #share: UserShare;
  readonly #clock: Clock;
  readonly #all: Bucket;
  readonly #own: Bucket;
  readonly #log: Bucket;
  readonly #requests = new Map<RequestKind, Bucket>();
  #unread = 0;
  #expected = 0;

  constructor(limits: AllowanceLimits, view: string, share: UserShare, clock: Clock) {
    const { framesPerSecond, logPerMinute } = limits;
    const now = clock.monotonic();
    this.#limits = limits;
    this.#view = view;
    this.#share = share;
    this.#clock = clock;
    share.connections++;
    this.#all = new Bucket({ perSecond: framesPerSecond, burst: 2 * framesPerSecond }, now);
    // Connecting costs, too: who comes again and again begins with nothing.
    const first = share.frames.tryTake(connectionCost, now) ? firstFrames : 0;
    this.#own = new Bucket(ownFrames, now, first);
    this.#log = new Bucket({ perSecond: (logPerMinute * logShare) / 60, burst: logPerMinute * logShare }, now);
  }

  /** Milliseconds until its next frame may be read; 0 when it may now. */
  get frameWaitMs(): number {
    const now = this.#clock.monotonic();
    const shared = Math.min(this.#own.waitMs(1, now), this.#share.frames.waitMs(1, now));
    return Math.max(shared, this.#all.waitMs(1, now));
  }

  /** Counts what it has sent or made us send, in frames of 1 KiB. */
  spend(frames: number): void {
    const now = this.#clock.monotonic();
    this.#all.take(frames, now);
    if (!this.#own.tryTake(frames, now)) this.#share.frames.take(frames, now);
  }

  /** It was asked something: its answer costs nothing. */
  expectAnswer(): void {
    if (this.#expected < maxExpected) this.#expected++;
  }

  /** Whether a frame is paid for by what it was asked. */
  isExpected(frames: number): boolean {
    if (this.#expected === 0 || frames > answerFrames) return false;
    this.#expected--;
    return true;
  }

  /** Takes a request; otherwise milliseconds until there may be one of this kind. */
  request(kind: RequestKind): number | undefined {
    const now = this.#clock.monotonic();
    const perSecond = this.#limits.requestsPerMinute / 60;
    const own = bucketOf(this.#requests, kind, { perSecond, burst: requestBurst }, now);
    const ofUser = { perSecond: perSecond * requestsPerUser, burst: requestBurst * requestsPerUser };
    const shared = bucketOf(this.#share.requests, `${this.#view}/${kind}`, ofUser, now);
    const waitMs = Math.max(own.waitMs(1, now), shared.waitMs(1, now));
    if (waitMs > 0) return waitMs;
    own.take(1, now);
    shared.take(1, now);
    return undefined;
  }

  /** Whether a line of the log that it has caused is written; one that is not is counted. */
  mayLog(bytes: number): boolean {
    const now = this.#clock.monotonic();
    const isTaken = this.#log.waitMs(bytes, now) === 0 && this.#share.log.tryTake(bytes, now);
    if (isTaken) this.#log.take(bytes, now);
    else this.#share.leftOut++;
    return isTaken;
  }

  /** It has this many characters that wait to be read or to be whole. False when its user has too many. */
  keep(unread: number): boolean {
    const counted = Math.max(0, unread - freeUnread);
    if (counted === 0 && this.#unread === 0) return true;
    this.#share.unread += counted - this.#unread;
    this.#unread = counted;
    return counted === 0 || this.#share.unread <= this.#share.maxUnread;
  }

  end(): void {
    this.keep(0);
    this.#share.connections--;
  }
}

function bucketOf<Key>(buckets: Map<Key, Bucket>, key: Key, rate: Rate, now: number): Bucket {
  let bucket = buckets.get(key);
  if (!bucket) {
    bucket = new Bucket(rate, now);
    buckets.set(key, bucket);
  }
  return bucket;
}
