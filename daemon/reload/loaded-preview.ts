import type { CommitGate, Preview } from './commit-gate.ts';
import type { LayerStore } from './layer-store.ts';
import type { SnapshotStore } from './snapshot-store.ts';

/**
 * What would become of what was read last. Starts nothing: no source is read and no program is asked. Worked out once for
 * each state of the sources and the settings, however often it is asked for.
 */
export class LoadedPreview {
  readonly #layers: LayerStore;
  readonly #gate: CommitGate;
  readonly #store: SnapshotStore;
  #known: { readonly of: readonly unknown[]; readonly preview: Promise<Preview> } | undefined;

  constructor(layers: LayerStore, gate: CommitGate, store: SnapshotStore) {
    this.#layers = layers;
    this.#gate = gate;
    this.#store = store;
  }

  look(signal: AbortSignal): Promise<Preview> {
    const of = [this.#store.current, ...this.#layers.newest.values(), ...this.#layers.unwell];
    const isSame = of.length === this.#known?.of.length && of.every((one, i) => one === this.#known!.of[i]);
    if (!isSame) this.#known = { of, preview: this.#gate.look(async () => this.#layers.wellParts(), false, signal) };
    return this.#known!.preview;
  }
}
