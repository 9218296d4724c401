import type { Issue } from '../../schemas/errors.ts';
import type { JsonObject } from '../../schemas/json.ts';
import type { Rejecting } from '../../schemas/wire.ts';
import type { DaemonError } from './errors.ts';
import type { LayerPart } from './layer.ts';

/** Merged settings, not yet validated, with the parts that they came from, lowest priority first. */
export interface Candidate {
  readonly settings: JsonObject;
  readonly parts: readonly LayerPart[];
}

/** What started a reload. */
export type Cause = 'start' | 'file' | 'env' | 'secret-manager' | 'operator' | 'signal' | 'client' | 'rollback';

/** Who asked for a reload, as far as is known. */
export interface Actor {
  readonly cause: Cause;
  readonly by?: string;
  readonly reason?: string;
  /** With a rollback: the revision whose content comes back. */
  readonly to?: number;
}

/** The settings stay as they are, whatever the sources say, until an operator says otherwise. */
export interface Pin {
  /** The revision that is served. */
  readonly revision: number;
  /** The revision whose content it has. */
  readonly to: number;
  /** ISO 8601. */
  readonly since: string;
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

/** The content of one part, as far as it may be kept without the content. */
export interface PartMark {
  readonly sourceId: string;
  readonly part: string;
  /** Of its content, under a key of the state folder; empty where the part is absent. */
  readonly mark: string;
}

/** New contents of parts that programs refused together. */
export interface Refusal {
  /** `rejected` by a verification, and tried again by itself; `withdrawn` from a rollout, and tried again when a part changes. */
  readonly kind: 'rejected' | 'withdrawn';
  readonly parts: readonly PartMark[];
  /** Who refused it, and why. */
  readonly why: string;
  /** The programs that refused it, as `view/name`. */
  readonly by: readonly string[];
}

/** A program that was connected and did not say goodbye. */
export interface ExpectedProgram {
  /** `view/name`. */
  readonly voter: string;
  /** It tries candidates. */
  readonly verifies: boolean;
}

/** A snapshot as it is kept for later: its settings are what its parts merge to. */
export type KeptSnapshot = Omit<Snapshot, 'settings' | 'digest'>;

/** How the programs took a revision. */
export interface Delivery {
  readonly accepted: number;
  readonly rejected: number;
  /** Milliseconds from the commit to the last answer. */
  readonly lastAckMs: number;
}

/** A setting that changed in one part and is given by another, so that nothing changes. */
export interface Shadowed {
  readonly path: string;
  /** The part in which it changed. */
  readonly in: string;
  /** The part that gives it. */
  readonly by: string;
}

/** How one run of the pipeline ended. */
export type ReloadOutcome =
  | {
      readonly kind: 'committed';
      readonly snapshot: Snapshot;
      /** What was urgent went to all programs before, as a revision of its own. */
      readonly urgent?: Snapshot;
      /** Why other pending changes are not in it. */
      readonly refused?: DaemonError;
    }
  | { readonly kind: 'unchanged'; readonly snapshot: Snapshot; readonly shadowed?: readonly Shadowed[] }
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
  readonly to?: number;
  /** What the sources say is not served: this revision is pinned. */
  readonly pinned?: number;
  /** What was withdrawn from programs is still what the sources say. */
  readonly withdrawn?: true;
  readonly durationMs: number;
  /** The sources that were looked at. */
  readonly sources?: readonly string[];
  /** Milliseconds from the first sign of a change to the end of this reload, where a change was what started it. */
  readonly sinceChangeMs?: number;
  /** Cut where there are many; the totals are given then. */
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  readonly changedTotal?: number;
  readonly removedTotal?: number;
  /** What changed in a source and is given by another one. */
  readonly shadowed?: readonly Shadowed[];
  /** Why it was rejected; with a commit, why other pending changes are not in it. */
  readonly error?: {
    readonly code: string;
    readonly message: string;
    /** Cut where there are many; the total is given then. */
    readonly issues: readonly Issue[];
    readonly issuesTotal?: number;
    /** Cut where there are many; the total is given then. */
    readonly rejectedBy?: readonly Rejecting[];
    readonly rejectedByTotal?: number;
  };
  /** How often the same came again right after it, asked for by programs or refused by them. */
  readonly repeated?: number;
  /** Reloads after it that programs asked for and that changed nothing. */
  readonly programReloads?: number;
  /** As soon as every program has answered. */
  readonly delivery?: Delivery;
}
