import type { Issue } from '../../schemas/errors.ts';
import type { JsonObject } from '../../schemas/json.ts';
import { DaemonError } from '../model/errors.ts';
import type { LayerPart } from '../model/layer.ts';
import { Merger } from '../model/merge.ts';
import type { Candidate } from '../model/snapshot.ts';
import type { ValidateElsewhere } from './bounded-validation.ts';
import { SizeMeter } from './size-meter.ts';
import { assertValid, type Validate } from './validate-candidate.ts';

export interface CandidateRules {
  readonly validate: Validate;
  readonly validateElsewhere: ValidateElsewhere;
  /** Of the settings as JSON. */
  readonly maxBytes: number;
}

/** Makes candidates out of parts: merged, validated, weighed. Remembers what it needs to do only what changed. */
export class CandidateMaker {
  readonly #rules: CandidateRules;
  readonly #merger = new Merger();
  readonly #meter = new SizeMeter();
  /** Of settings that are frozen, so that validating them again could find nothing else. */
  readonly #issues = new WeakMap<JsonObject, readonly Issue[]>();

  constructor(rules: CandidateRules) {
    this.#rules = rules;
  }

  /**
   * Before {@link make}: validates in a worker what would hold up the event loop. `undefined` where nothing is to be waited for.
   * Rejects by `validation_too_slow`.
   */
  prepare(parts: readonly LayerPart[]): Promise<void> | undefined {
    const settings = this.#merge(parts);
    try {
      this.#issuesOf(settings);
      return undefined;
    } catch (error) {
      if (!isTooSlow(error)) throw error;
      return this.#rules.validateElsewhere(settings).then((issues) => void this.#issues.set(settings, issues));
    }
  }

  /**
   * Parts lowest priority first. Throws `settings_invalid`, `snapshot_too_large`, or `validation_too_slow` where it takes longer
   * than `ms`, by default 100, and was not prepared.
   */
  make(parts: readonly LayerPart[], ms?: number): Candidate {
    const { maxBytes } = this.#rules;
    const candidate = { settings: this.#merge(parts), parts };
    assertValid(candidate, this.#issuesOf(candidate.settings, ms));
    const bytes = this.#meter.measure(candidate.settings);
    if (bytes <= maxBytes) return candidate;
    const what = `the settings have ${bytes} bytes as JSON, over limits.snapshotSize of ${maxBytes}`;
    throw new DaemonError('snapshot_too_large', what, { mend: 'raise limits.snapshotSize' });
  }

  #merge(parts: readonly LayerPart[]): JsonObject {
    return this.#merger.merge(parts.map(({ settings }) => settings));
  }

  #issuesOf(settings: JsonObject, ms?: number): readonly Issue[] {
    const known = this.#issues.get(settings);
    if (known) return known;
    const issues = this.#rules.validate(settings, ms);
    this.#issues.set(settings, issues);
    return issues;
  }
}

function isTooSlow(error: unknown): boolean {
  return error instanceof DaemonError && error.code === 'validation_too_slow';
}
