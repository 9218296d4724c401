import { TokenBucket } from 'limiter';
import type { AdminOptions } from '../ops/admin-options.ts';
import { Refused, tooMany } from './gate.ts';

/** So many reloads in a time may operators ask for, all of them together: each reads everything again. */
export class ReloadLimit {
  readonly #bucket: TokenBucket;
  readonly #words: string;

  constructor({ reloads, perMs }: AdminOptions['rateLimit']) {
    this.#bucket = new TokenBucket({ bucketSize: reloads, tokensPerInterval: reloads, interval: perMs });
    this.#bucket.content = reloads;
    this.#words = `${reloads === 1 ? 'one reload' : `${reloads} reloads`} in ${perMs / 1000} s (admin.rateLimit)`;
  }

  /** Throws {@link Refused} when there may be none now. */
  take(): void {
    if (!this.#bucket.tryRemoveTokens(1)) throw new Refused(tooMany(this.#words, this.#bucket));
  }
}
