import { DaemonError } from '../model/errors.ts';
import type { LayerPart } from '../model/layer.ts';
import { Merger } from '../model/merge.ts';
import type { Candidate } from '../model/snapshot.ts';
import { SizeMeter } from './size-meter.ts';
import { type Validate, validateCandidate } from './validate-candidate.ts';

export interface CandidateRules {
  readonly validate: Validate;
  /** Of the settings as JSON. */
  readonly maxBytes: number;
}

/** Makes candidates out of parts: merged, validated, weighed. Remembers what it needs to do only what changed. */
export class CandidateMaker {
  readonly #rules: CandidateRules;
  readonly #merger = new Merger();
  readonly #meter = new SizeMeter();

  constructor(rules: CandidateRules) {
    this.#rules = rules;
  }

  /** Parts lowest priority first. Throws `settings_invalid` or `snapshot_too_large`. */
  make(parts: readonly LayerPart[]): Candidate {
    const { validate, maxBytes } = this.#rules;
    const candidate = { settings: this.#merger.merge(parts.map(({ settings }) => settings)), parts };
    validateCandidate(validate, candidate);
    const bytes = this.#meter.measure(candidate.settings);
    if (bytes <= maxBytes) return candidate;
    const what = `the settings have ${bytes} bytes as JSON, over limits.snapshotSize of ${maxBytes}`;
    throw new DaemonError('snapshot_too_large', what, { mend: 'raise limits.snapshotSize' });
  }
}
