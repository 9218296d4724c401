import { compare } from '../../schemas/patch.ts';
import type { Nack } from '../../schemas/wire.ts';
import type { Clock } from '../ops/clock.ts';
import type { Edition } from './edition.ts';
import { pendingAfterMs } from './subscriber-state.ts';

/** What a program says of a candidate. */
export type Verdict =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'rejected'; readonly nack: Nack }
  | { readonly kind: 'silent'; readonly why: 'timeout' | 'lost' };

export interface TrialsParts {
  readonly clock: Clock;
  /** How long a candidate may be tried. */
  readonly verifyMs: number;
  /** Resolves when the program has answered the snapshot that it was sent, which it works on first. */
  readonly whenFree: () => Promise<void>;
  /** Sends a candidate; `isWhole`: not as a patch. */
  readonly send: (candidate: Edition, isWhole: boolean) => void;
  /** The program has lost its vote, or has it again. */
  readonly onVote: (isLost: boolean) => void;
}

interface Trial {
  readonly candidate: Edition;
  readonly verdict: Promise<Verdict>;
  readonly resolve: (verdict: Verdict) => void;
  isDecided: boolean;
}

/** A program that lets so many verifications in a row pass without an answer has no vote until it answers again. */
const maxMisses = 2;

/** The candidates that one program tries, one after the other. The same content is tried once for all who ask meanwhile. */
export class Trials {
  readonly #parts: TrialsParts;
  readonly #open = new Set<Trial>();
  #tail: Promise<unknown> = Promise.resolve();
  #misses = 0;
  #isOver = false;

  constructor(parts: TrialsParts) {
    this.#parts = parts;
  }

  /** Changes wait for its answer. */
  get hasVote(): boolean {
    return this.#misses < maxMisses;
  }

  /**
   * Resolves with the verdict, or that there is none within `verifyMs` of when the candidate is sent, or that the program
   * did not come to it, since it works on a snapshot for too long.
   */
  verdict(candidate: Edition): Promise<Verdict> {
    const same = [...this.#open].find((trial) => isSame(trial.candidate, candidate));
    if (same) return same.verdict;
    const { promise, resolve } = Promise.withResolvers<Verdict>();
    const trial: Trial = { candidate, verdict: promise, resolve, isDecided: false };
    promise.then(() => {
      trial.isDecided = true;
    });
    this.#open.add(trial);
    const run = this.#tail.then(() => this.#run(trial));
    this.#tail = run.then(() => this.#open.delete(trial));
    return promise;
  }

  /** Takes an answer; false when it is one to something else. */
  answer(nonce: string, nack?: Nack): boolean {
    const trial = [...this.#open].find(({ candidate }) => candidate.nonce === nonce);
    if (!trial) return false;
    // A program that cannot apply the change alone is asked again with the whole.
    if (nack?.code === 'base_missing') this.#parts.send(trial.candidate, true);
    else {
      trial.resolve(nack ? { kind: 'rejected', nack } : { kind: 'accepted' });
      this.#count(false);
    }
    return true;
  }

  /** The program is gone. */
  end(): void {
    this.#isOver = true;
    for (const { resolve } of this.#open) resolve({ kind: 'silent', why: 'lost' });
  }

  async #run(trial: Trial): Promise<void> {
    const { candidate, verdict, resolve } = trial;
    const { clock, verifyMs, whenFree, send } = this.#parts;
    const tooLate = () => {
      this.#count(true);
      resolve({ kind: 'silent', why: 'timeout' });
    };
    let cancel = clock.after(Math.max(verifyMs, pendingAfterMs), tooLate);
    await Promise.race([whenFree(), verdict]);
    cancel();
    if (this.#isOver || trial.isDecided) return;
    cancel = clock.after(verifyMs, tooLate);
    send(candidate, false);
    await verdict;
    cancel();
  }

  #count(isMissed: boolean): void {
    const had = this.hasVote;
    this.#misses = isMissed ? this.#misses + 1 : 0;
    if (this.hasVote !== had) this.#parts.onVote(had);
  }
}

function isSame({ seen: a }: Edition, { seen: b }: Edition): boolean {
  if (a.epoch !== b.epoch) return false;
  const { changed, removed } = compare(a.settings, b.settings);
  return changed.length === 0 && removed.length === 0;
}
