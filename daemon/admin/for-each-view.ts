import type { Snapshot } from '../model/snapshot.ts';
import type { ViewFilter } from '../model/view-filter.ts';

/** What is worked out of the settings for each view: once for each snapshot, however often it is asked for. */
export class ForEachView<T> {
  readonly #make: (snapshot: Snapshot, filter: ViewFilter) => T;
  readonly #known = new Map<ViewFilter, { readonly of: Snapshot; readonly value: T }>();

  constructor(make: (snapshot: Snapshot, filter: ViewFilter) => T) {
    this.#make = make;
  }

  get(snapshot: Snapshot, filter: ViewFilter): T {
    let known = this.#known.get(filter);
    if (known?.of !== snapshot) {
      known = { of: snapshot, value: this.#make(snapshot, filter) };
      this.#known.set(filter, known);
    }
    return known.value;
  }
}
