import type { JsonObject } from '../../schemas/json.ts';
import type { DaemonError } from './errors.ts';

/** The kinds of source, lowest priority first. */
export const sourceKinds = ['defaults', 'files', 'gcp', 'env'] as const;
export type SourceKind = (typeof sourceKinds)[number];

/** One thing that a source is made of: a file, a secret, the process environment. Frozen. */
export interface LayerPart {
  readonly sourceId: string;
  readonly kind: SourceKind;
  /** Where it came from, as a person would name it. */
  readonly name: string;
  readonly settings: JsonObject;
  /** Of its content, where its source counts versions. */
  readonly version?: string;
  /** Its values are not secret, but for what the schema marks. */
  readonly isPlain?: boolean;
}

/** What a source said once. */
export interface Layer {
  readonly sourceId: string;
  /** Lowest priority first. */
  readonly parts: readonly LayerPart[];
  /** The names of the parts that this load read anew; the others are as they were. */
  readonly touched: ReadonlySet<string>;
  /** A part that this load had to read is bad: {@link parts} has its last good content, and the burst is rejected. */
  readonly failure?: DaemonError;
}

/** "Look again at this source." Never carries a value. */
export interface ChangeHint {
  readonly sourceId: string;
  /** What was noticed: `change`, `rescan`, `watch-failed`, ... */
  readonly reason: string;
}

/** The hints that one settle window grouped. */
export interface Burst {
  readonly sourceIds: ReadonlySet<string>;
  /** When the first hint came, on the monotonic clock. */
  readonly firstAt: number;
  /** What was noticed, each once: tells a change that an event told from one that a rescan found. */
  readonly reasons: readonly string[];
}
