import { Digester } from '../../schemas/digest.ts';
import { DaemonError } from '../model/errors.ts';
import type { LayerPart } from '../model/layer.ts';
import type { Withdrawn } from '../model/snapshot.ts';

/** Where it survives a restart. */
export interface QuarantineKeeper {
  withdrawn: readonly Withdrawn[];
  /** Tells "the same content" and nothing else of it. */
  mark(digest: string): string;
}

/** Withdrawn contents that are remembered. */
const kept = 64;

/**
 * Contents that programs had and could not live with. They are not served again until their source says something else,
 * or an operator wants them to be tried again.
 */
export class Quarantine {
  readonly #keeper: QuarantineKeeper;
  readonly #digester = new Digester();

  constructor(keeper: QuarantineKeeper) {
    this.#keeper = keeper;
  }

  /** What is in `bad` and was not in `stable` is withdrawn. */
  add(bad: readonly LayerPart[], stable: readonly LayerPart[], why: string): void {
    const fresh = bad.filter((part) => !stable.some(({ settings }) => settings === part.settings));
    const marks = fresh.map((part) => ({ part: part.name, mark: this.#markOf(part), why }));
    this.#keeper.withdrawn = [...marks, ...this.#keeper.withdrawn].slice(0, kept);
  }

  clear(): void {
    if (this.#keeper.withdrawn.length > 0) this.#keeper.withdrawn = [];
  }

  /** Throws `candidate_quarantined`. */
  check(parts: readonly LayerPart[]): void {
    const { withdrawn } = this.#keeper;
    if (withdrawn.length === 0) return;
    for (const part of parts) {
      const names = withdrawn.filter(({ part: name }) => name === part.name);
      const found = names.length > 0 && names.find(({ mark }) => mark === this.#markOf(part));
      if (!found) continue;
      throw new DaemonError('candidate_quarantined', `was withdrawn before: ${found.why}`, {
        subject: part.name + (part.version ? ` version ${part.version}` : ''),
        mend: 'change it, or run `hotconf reload` to try it again',
      });
    }
  }

  #markOf({ settings }: LayerPart): string {
    return this.#keeper.mark(this.#digester.digest(settings));
  }
}
