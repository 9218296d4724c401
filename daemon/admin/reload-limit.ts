import { TokenBucket } from 'limiter';
import type { AdminOptions } from '../ops/admin-options.ts';
import { Refused, tooMany } from './gate.ts';

/** So many reloads in a time may the bearer of a token ask for: each reads everything again. */
export class ReloadLimit {
  readonly #rate: AdminOptions['rateLimit'];
  /** By the token's name, which the options bound. */
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(rate: AdminOptions['rateLimit']) {
    this.#rate = rate;
  }

  /** Throws {@link Refused} when there may be none now. */
  take(bearer: string): void {
    const bucket = this.#bucketOf(bearer);
    if (bucket.tryRemoveTokens(1)) return;
    const { reloads, perMs } = this.#rate;
    const words = `${reloads === 1 ? 'one reload' : `${reloads} reloads`} in ${perMs / 1000} s (admin.rateLimit)`;
    throw new Refused(tooMany(words, bucket));
  }

  /** One that was rejected costs nothing. */
  giveBack(bearer: string): void {
    const bucket = this.#bucketOf(bearer);
    bucket.content = Math.min(this.#rate.reloads, bucket.content + 1);
  }

  #bucketOf(bearer: string): TokenBucket {
    let bucket = this.#buckets.get(bearer);
    if (!bucket) {
      const { reloads, perMs } = this.#rate;
      bucket = new TokenBucket({ bucketSize: reloads, tokensPerInterval: reloads, interval: perMs });
      bucket.content = reloads;
      this.#buckets.set(bearer, bucket);
    }
    return bucket;
  }
}
