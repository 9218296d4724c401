import type { Nack } from '../../schemas/wire.ts';
import type { Clock } from '../ops/clock.ts';

/** What a program says of a candidate. */
export type Verdict =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'rejected'; readonly nack: Nack }
  | { readonly kind: 'silent'; readonly why: 'timeout' | 'lost' };

interface Trial {
  readonly resolve: (verdict: Verdict) => void;
  /** Sends the candidate again, whole. */
  readonly sendWhole: () => void;
}

/** The candidates that one program is trying. */
export class Trials {
  readonly #clock: Clock;
  readonly #open = new Map<string, Trial>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves with the verdict, or that there is none in time. */
  async verdict(nonce: string, withinMs: number, sendWhole: () => void): Promise<Verdict> {
    const { promise, resolve } = Promise.withResolvers<Verdict>();
    const cancel = this.#clock.after(withinMs, () => resolve({ kind: 'silent', why: 'timeout' }));
    this.#open.set(nonce, { resolve, sendWhole });
    try {
      return await promise;
    } finally {
      cancel();
      this.#open.delete(nonce);
    }
  }

  /** Takes an answer; false when it is one to something else. */
  answer(nonce: string, nack?: Nack): boolean {
    const trial = this.#open.get(nonce);
    // A program that cannot apply the change alone is asked again with the whole.
    if (nack?.code === 'base_missing') trial?.sendWhole();
    else trial?.resolve(nack ? { kind: 'rejected', nack } : { kind: 'accepted' });
    return trial !== undefined;
  }

  /** The program is gone. */
  end(): void {
    for (const { resolve } of this.#open.values()) resolve({ kind: 'silent', why: 'lost' });
  }
}
