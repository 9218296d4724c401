import { isObject, type JsonValue } from '../../schemas/json.ts';
import { DaemonError } from '../model/errors.ts';
import type { Snapshot } from '../model/snapshot.ts';

/** Stops a reload that would take most of the settings away: an emptied mount looks like that, and so does a wrong path. */
export class LossGuard {
  readonly #maxRemoved: number;
  readonly #counts = new WeakMap<object, number>();

  /** `maxRemoved`: the share of the settings that a reload may remove, from 0 to 1. */
  constructor(maxRemoved: number) {
    this.#maxRemoved = maxRemoved;
  }

  /** Throws `too_much_removed`. */
  check(current: Snapshot | undefined, next: Snapshot): void {
    if (!current || next.removed.length === 0) return;
    const all = this.#leaves(current.settings);
    const removed = next.removed.length;
    if (removed <= all * this.#maxRemoved) return;
    const share = `over reload.maxRemoved of ${Math.round(this.#maxRemoved * 100)}%`;
    throw new DaemonError('too_much_removed', `it would remove ${removed} of ${all} settings, ${share}`, {
      mend: 'run `hotconf reload --accept-missing` if that is meant',
      issues: next.removed.slice(0, 50).map((path) => ({ path, keyword: 'removed', message: 'would be removed' })),
    });
  }

  /** Leaves of a tree, counting each unchanged subtree once in its life. */
  #leaves(value: JsonValue): number {
    if (!isObject(value)) return 1;
    let count = this.#counts.get(value);
    if (count !== undefined) return count;
    count = 0;
    for (const key in value) count += this.#leaves(value[key]!);
    count = Math.max(1, count);
    this.#counts.set(value, count);
    return count;
  }
}
