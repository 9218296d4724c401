import { DaemonError } from '../model/errors.ts';
import type { Snapshot } from '../model/snapshot.ts';

/** Withdrawn settings that are remembered. */
const kept = 16;

/** Settings that programs had and could not live with. They are not tried again until a source says something else. */
export class Quarantine {
  readonly #why = new Map<string, string>();

  /** `why` is told whenever the same settings come again. */
  add({ digest }: Snapshot, why: string): void {
    this.#why.set(digest, why);
    for (const oldest of this.#why.keys()) if (this.#why.size > kept) this.#why.delete(oldest);
  }

  /** An operator wants everything to be tried again. */
  clear(): void {
    this.#why.clear();
  }

  /** Throws `candidate_quarantined`. */
  check({ digest }: Snapshot): void {
    const why = this.#why.get(digest);
    if (why === undefined) return;
    throw new DaemonError('candidate_quarantined', `it was withdrawn before: ${why}`, {
      mend: 'change the source, or run `hotconf reload` to try it again',
    });
  }
}
