import type { Nack, Position } from '../../schemas/wire.ts';
import type { Edition } from './edition.ts';

/** An edition that was sent and whose answer is outstanding. */
export interface InFlight {
  readonly edition: Edition;
  /** On the monotonic clock. */
  readonly sentAt: number;
}

/**
 * A program's one slot: what it was sent, and what it runs. While an answer is outstanding nothing more goes out, and
 * what was committed meanwhile goes out as one when the answer comes.
 */
export class Slot {
  #inFlight: InFlight | undefined;
  #held: { readonly position: Position; readonly content: object } | undefined;
  /** Names the edition that was last sent, whatever became of it. */
  #offered: string | undefined;
  #sentRevision = 0;
  #rejection: Nack | undefined;
  #waiting: Edition | undefined;

  get inFlight(): InFlight | undefined {
    return this.#inFlight;
  }

  /** What the program runs; `undefined` when that is not known. */
  get held(): Position | undefined {
    return this.#held?.position;
  }

  /** Whether the program is known to run the settings of this edition. */
  holds(edition: Edition | undefined): boolean {
    return edition !== undefined && this.#held?.content === edition.content;
  }

  /** The revision that was last sent, or that the program had already. */
  get sentRevision(): number {
    return this.#sentRevision;
  }

  /** Its answer to what was last sent, when that was a rejection. */
  get rejection(): Nack | undefined {
    return this.#rejection;
  }

  /** Whether an edition is to be sent now: the slot is free, and the program neither runs nor has refused it. */
  wants(edition: Edition): boolean {
    return !this.#inFlight && this.#offered !== edition.nonce && !this.holds(edition);
  }

  /** An edition waits for the slot to be free; returns the one that it overtakes, if another was waiting. */
  queue(edition: Edition): Edition | undefined {
    if (!this.#inFlight || edition.nonce === this.#offered || edition.nonce === this.#waiting?.nonce) return undefined;
    const overtaken = this.#waiting;
    this.#waiting = edition;
    return overtaken;
  }

  sent(edition: Edition, sentAt: number): void {
    this.#waiting = undefined;
    this.#inFlight = { edition, sentAt };
    this.#offered = edition.nonce;
    this.#sentRevision = edition.seen.revision;
  }

  /** Frees the slot when this is the answer that it waits for; an older one says nothing any more. */
  answered(nonce: string): InFlight | undefined {
    const waiting = this.#inFlight?.edition.nonce === nonce ? this.#inFlight : undefined;
    if (waiting) this.#inFlight = undefined;
    return waiting;
  }

  /** It runs the settings of this edition, at this position or an earlier one with the same settings. */
  hold({ content }: Edition, position: Position): void {
    this.#held = { position, content };
    this.#sentRevision = Math.max(this.#sentRevision, position.revision);
    this.#rejection = undefined;
  }

  reject(nack: Nack): void {
    this.#rejection = nack;
  }

  /** It answered, and does not hold what it was sent. */
  release(): void {
    this.#held = undefined;
  }

  /** Nothing is known any more of what the program has: it gets the whole. */
  forget(): void {
    this.#inFlight = this.#held = this.#offered = undefined;
  }
}
