import type { JsonObject } from '../../schemas/json.ts';
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
  /** How many snapshots the program was sent. */
  readonly snapshotsSent: () => number;
  /** Sends a candidate; `isWhole`: not as a patch. */
  readonly send: (candidate: Edition, isWhole: boolean) => void;
  /** The program has lost its vote, or has it again. */
  readonly onVote: (isLost: boolean) => void;
}

/** What was said of a content. */
interface Said {
  readonly epoch: string;
  readonly settings: JsonObject;
  readonly verdict: Verdict;
  /** On the monotonic clock. */
  readonly at: number;
}

/** Verdicts that are remembered. */
const maxRemembered = 4;
/** How often a trial may begin its time anew, since a snapshot came between. */
const maxExtensions = 2;

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
  readonly #said: Said[] = [];
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
   * did not come to it, since it works on a snapshot for too long. What was said of the same content since `since` (on the
   * monotonic clock) counts, and the program is not asked again.
   */
  verdict(candidate: Edition, since: number): Promise<Verdict> {
    const same = [...this.#open].find((trial) => isSame(trial.candidate.seen, candidate.seen));
    if (same) return same.verdict;
    const known = this.#said.find((said) => said.at >= since && isSame(said, candidate.seen));
    if (known) return Promise.resolve(known.verdict);
    const { promise, resolve } = Promise.withResolvers<Verdict>();
    const decide = (verdict: Verdict) => {
      if (!trial.isDecided) this.#remember(candidate, verdict);
      trial.isDecided = true;
      resolve(verdict);
    };
    const trial: Trial = { candidate, verdict: promise, resolve: decide, isDecided: false };
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

  #remember({ seen: { epoch, settings } }: Edition, verdict: Verdict): void {
    this.#said.unshift({ epoch, settings, verdict, at: this.#parts.clock.monotonic() });
    this.#said.splice(maxRemembered);
  }

  /** The program is gone. */
  end(): void {
    this.#isOver = true;
    for (const { resolve } of this.#open) resolve({ kind: 'silent', why: 'lost' });
  }

  async #run(trial: Trial): Promise<void> {
    const { candidate } = trial;
    const { verifyMs, snapshotsSent, send } = this.#parts;
    if (!(await this.#isFree(trial))) return;
    send(candidate, false);
    for (let extensions = 0; ; extensions++) {
      const before = snapshotsSent();
      if (await this.#isDecidedWithin(verifyMs, trial)) return;
      if (snapshotsSent() === before || extensions >= maxExtensions) return this.#giveUp(trial);
      // A snapshot came between, which the program works on first: it has the whole time again after that.
      if (!(await this.#isFree(trial))) return;
    }
  }

  /** False when the trial is over before the program comes to it. */
  async #isFree(trial: Trial): Promise<boolean> {
    const { verifyMs, whenFree } = this.#parts;
    let isFree = false;
    const free = whenFree().then(() => {
      isFree = true;
    });
    await this.#isDecidedWithin(Math.max(verifyMs, pendingAfterMs), trial, free);
    if (trial.isDecided || this.#isOver) return false;
    if (!isFree) this.#giveUp(trial);
    return isFree;
  }

  /** Whether a trial is decided before a time is over, or before `other` resolves. */
  async #isDecidedWithin(ms: number, trial: Trial, other?: Promise<void>): Promise<boolean> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const cancel = this.#parts.clock.after(ms, resolve);
    await Promise.race([trial.verdict, late, ...(other ? [other] : [])]);
    cancel();
    return trial.isDecided;
  }

  #giveUp({ resolve, isDecided }: Trial): void {
    if (isDecided) return;
    this.#count(true);
    resolve({ kind: 'silent', why: 'timeout' });
  }

  #count(isMissed: boolean): void {
    const had = this.hasVote;
    this.#misses = isMissed ? this.#misses + 1 : 0;
    if (this.hasVote !== had) this.#parts.onVote(had);
  }
}

type Content = Pick<Said, 'epoch' | 'settings'>;

function isSame(a: Content, b: Content): boolean {
  if (a.epoch !== b.epoch) return false;
  const { changed, removed } = compare(a.settings, b.settings);
  return changed.length === 0 && removed.length === 0;
}
