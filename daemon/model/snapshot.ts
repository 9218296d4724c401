import type { Issue } from '../../schemas/errors.ts';
import type { JsonObject } from '../../schemas/json.ts';
import type { DaemonError } from './errors.ts';
import type { LayerPart } from './layer.ts';

/** Merged settings, not yet validated, with the parts that they came from, lowest priority first. */
export interface Candidate {
  readonly settings: JsonObject;
  readonly parts: readonly LayerPart[];
}

/** What started a reload. */
export type Cause = 'start' | 'file' | 'env' | 'secret-manager' | 'operator' | 'signal' | 'client';

/** Who asked for a reload, as far as is known. */
export interface Actor {
  readonly cause: Cause;
  readonly by?: string;
  readonly reason?: string;
}

/** Validated and frozen settings, with their number. */
export interface Snapshot {
  readonly settings: JsonObject;
  readonly parts: readonly LayerPart[];
  readonly epoch: string;
  /** +1 for each commit within an epoch; survives a restart. */
  readonly revision: number;
  readonly digest: string;
  /** ISO 8601. */
  readonly committedAt: string;
  readonly cause: Cause;
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

/** How one run of the pipeline ended. */
export type ReloadOutcome =
  | { readonly kind: 'committed'; readonly snapshot: Snapshot }
  | { readonly kind: 'unchanged'; readonly snapshot: Snapshot }
  | { readonly kind: 'rejected'; readonly error: DaemonError };

/** One line of the history. */
export interface ReloadRecord {
  /** ISO 8601. */
  readonly at: string;
  readonly outcome: ReloadOutcome['kind'];
  /** The revision that was current afterwards; 0 when there was none. */
  readonly revision: number;
  readonly epoch: string;
  readonly cause: Cause;
  readonly by?: string;
  readonly reason?: string;
  readonly durationMs: number;
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  readonly error?: { readonly code: string; readonly message: string; readonly issues: readonly Issue[] };
}
