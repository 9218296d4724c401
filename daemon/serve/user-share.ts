import { Bucket } from '../ops/bucket.ts';
import type { Limits } from '../ops/limits.ts';

export type AllowanceLimits = Pick<Limits, 'framesPerSecond' | 'requestsPerMinute' | 'logPerMinute'>;

/** What one user's programs may send together, in frames of one program. */
const programsPerUser = 10;
/** Characters that are kept for one user's programs and not read yet. */
const unreadPerUser = 16 * 1024 * 1024;

/** What the programs of one user may cost together; of one socket, where users are not known. */
export class UserShare {
  readonly who: Readonly<Record<string, unknown>>;
  readonly frames: Bucket;
  readonly log: Bucket;
  readonly requests = new Map<string, Bucket>();
  readonly maxUnread: number;
  unread = 0;
  connections = 0;
  /** Lines of the log that were left out since the last summary. */
  leftOut = 0;

  constructor(who: UserShare['who'], part: number, { framesPerSecond, logPerMinute }: AllowanceLimits, now: number) {
    const perSecond = framesPerSecond * programsPerUser * part;
    this.who = who;
    this.frames = new Bucket({ perSecond, burst: 2 * perSecond }, now);
    this.log = new Bucket({ perSecond: (logPerMinute * part) / 60, burst: logPerMinute * part }, now);
    this.maxUnread = unreadPerUser * part;
  }
}
