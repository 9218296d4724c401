import type { ExpectedProgram, Pin, Refusal } from '../model/snapshot.ts';
import type { Health } from './health.ts';
import type { Log } from './log.ts';
import type { StateStore } from './state-store.ts';

export interface RulingsParts {
  readonly state: StateStore;
  readonly health: Health;
  readonly log: Log;
  readonly onUnsaved: (error: unknown) => void;
}

/**
 * What operators and programs have decided about what is served, in memory and in the state folder: the pin, which is
 * shown wherever the daemon's state is, the contents that programs refused, the programs that are expected, and those that run what is staged.
 */
export class Rulings {
  readonly #parts: RulingsParts;
  #pin: Pin | undefined;
  #refusals: readonly Refusal[];
  #expected: readonly ExpectedProgram[];
  #staged: readonly string[];

  constructor(parts: RulingsParts) {
    this.#parts = parts;
    this.#pin = parts.state.pin;
    this.#refusals = parts.state.refusals;
    this.#expected = parts.state.expected;
    this.#staged = parts.state.staged;
    this.#show();
    this.#reportDamage();
  }

  /** Pin, refusals and history are gone with a damaged database. */
  #reportDamage(): void {
    const { state, health, log } = this.#parts;
    if (!state.damaged) return;
    const message = `the database of the state was damaged: a new epoch begins, without the pin and the history (kept as ${state.damaged})`;
    log('error', 'state_damaged', message, { file: state.damaged });
    health.setDegraded('state_damaged', message);
  }

  /** The expected programs are not known, because the database was damaged. */
  get isLost(): boolean {
    return this.#parts.state.damaged !== undefined;
  }

  get pin(): Pin | undefined {
    return this.#pin;
  }

  set pin(pin: Pin | undefined) {
    if (pin === this.#pin) return;
    this.#pin = pin;
    this.#show();
    this.#save(() => {
      this.#parts.state.pin = pin;
    });
  }

  /** A pin is of no use when another revision is served: what was pinned is not kept. */
  keepPinOf(revision: number | undefined): void {
    if (!this.#pin || this.#pin.revision === revision) return;
    const what = `revision ${this.#pin.revision} was pinned and is not kept: the sources are served`;
    this.#parts.log('error', 'pin_lost', what, { revision: this.#pin.revision });
    this.pin = undefined;
  }

  get refusals(): readonly Refusal[] {
    return this.#refusals;
  }

  set refusals(refusals: readonly Refusal[]) {
    this.#refusals = refusals;
    this.#save(() => {
      this.#parts.state.refusals = refusals;
    });
  }

  /** Programs that were connected and did not say goodbye. */
  get expected(): readonly ExpectedProgram[] {
    return this.#expected;
  }

  set expected(expected: readonly ExpectedProgram[]) {
    this.#expected = expected;
    this.#save(() => {
      this.#parts.state.expected = expected;
    });
  }

  /** The programs that run what is staged, as `view/name`. */
  get staged(): readonly string[] {
    return this.#staged;
  }

  set staged(staged: readonly string[]) {
    this.#staged = staged;
    this.#save(() => {
      this.#parts.state.staged = staged;
    });
  }

  mark(digest: string): string {
    return this.#parts.state.mark(digest);
  }

  #save(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#parts.onUnsaved(error);
    }
  }

  #show(): void {
    const pin = this.#pin;
    const what = pin && `pinned to the content of revision ${pin.to} since ${pin.since}`;
    this.#parts.health.setDegraded('pin', what && `${what}${pin.reason ? ` (${pin.reason})` : ''}`);
  }
}
