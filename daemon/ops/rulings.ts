import type { Pin, Withdrawn } from '../model/snapshot.ts';
import type { Health } from './health.ts';
import type { StateStore } from './state-store.ts';

export interface RulingsParts {
  readonly state: StateStore;
  readonly health: Health;
  readonly onUnsaved: (error: unknown) => void;
}

/**
 * What operators and programs have decided about what is served, in memory and in the state folder: the pin, which is
 * shown wherever the daemon's state is, and the contents that were withdrawn.
 */
export class Rulings {
  readonly #parts: RulingsParts;
  #pin: Pin | undefined;
  #withdrawn: readonly Withdrawn[];

  constructor(parts: RulingsParts) {
    this.#parts = parts;
    this.#pin = parts.state.pin;
    this.#withdrawn = parts.state.withdrawn;
    this.#show();
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

  get withdrawn(): readonly Withdrawn[] {
    return this.#withdrawn;
  }

  set withdrawn(withdrawn: readonly Withdrawn[]) {
    this.#withdrawn = withdrawn;
    this.#save(() => {
      this.#parts.state.withdrawn = withdrawn;
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
