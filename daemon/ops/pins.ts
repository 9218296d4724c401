import type { Pin } from '../model/snapshot.ts';
import type { Health } from './health.ts';
import type { StateStore } from './state-store.ts';

export interface PinsParts {
  readonly state: StateStore;
  readonly health: Health;
  readonly onUnsaved: (error: unknown) => void;
}

/** The pin, in memory and in the state folder; shown wherever the daemon's state is. */
export class Pins {
  readonly #parts: PinsParts;
  #pin: Pin | undefined;

  constructor(parts: PinsParts) {
    this.#parts = parts;
    this.#pin = parts.state.pin;
    this.#show();
  }

  get pin(): Pin | undefined {
    return this.#pin;
  }

  set pin(pin: Pin | undefined) {
    if (pin === this.#pin) return;
    this.#pin = pin;
    this.#show();
    try {
      this.#parts.state.pin = pin;
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
