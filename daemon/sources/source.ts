import type { Path } from '../../schemas/paths.ts';
import type { DaemonError } from '../model/errors.ts';
import type { ChangeHint, Layer, LayerPart, SourceKind } from '../model/layer.ts';

export interface LoadRequest {
  /** Forget every cache and read everything. */
  readonly fresh: boolean;
  /** Files that are gone may take their values with them: an operator asked, or nothing was there before. */
  readonly acceptGone: boolean;
  /** So may secrets that Secret Manager does not give out any more: an operator said that this is meant. */
  readonly acceptMissing: boolean;
  /** How long a part may be missing, empty or malformed before that is an error, in milliseconds. */
  readonly graceMs: number;
  /** How long a source that does not answer is waited for, in milliseconds. */
  readonly patienceMs: number;
}

export type OnHint = (hint: ChangeHint) => void;

/** How a source is watched, for people. */
export interface WatchHealth {
  readonly mode: 'watching' | 'polling' | 'off';
  /** What is not as it should be: why it polls, or what goes unnoticed. */
  readonly problem?: string;
}

/** What a source has met, by outcome. */
export type SourceCounts = Readonly<Record<string, Readonly<Record<string, number>>>>;

/**
 * A place that settings come from. `test/contracts/source-contract.ts` is what every implementation has to hold.
 */
export interface Source {
  readonly id: string;
  readonly kind: SourceKind;
  /** What it reads, as a person would name it. */
  readonly describes: readonly string[];
  /**
   * Reads what was hinted since the last load, or everything. When a part that it had to read is bad, the layer has the
   * part's last good content and says so by `failure`; {@link problem} tells until the part is good again.
   */
  load(request: LoadRequest, signal: AbortSignal): Promise<Layer>;
  /** What is wrong with it now. A part that is bad has kept its last good content. */
  readonly problem: DaemonError | undefined;
  readonly watchHealth: WatchHealth;
  /** When it was last looked at and found well, by a load, a rescan or a resync; wall time in milliseconds. */
  readonly heardAt: number | undefined;
  readonly counts: SourceCounts;
  /**
   * Takes up parts that it gave before a restart, as its last good content. Called before the first load, if at all;
   * parts that it has no place for any more are dropped.
   */
  restore(parts: readonly LayerPart[]): void;
  /** The line of a part's document that says what is at a path of the settings, where that can be told. */
  lineOf?(part: string, path: Path): Promise<number | undefined>;
  /** Resolves when the watch is armed: every later change gives a hint, and so does a failure of the watch. */
  watch(onHint: OnHint): Promise<AsyncDisposable>;
  /** Gives back what loading holds, such as connections. */
  close(): Promise<void>;
}

/** What is wrong with how sources are watched, of the first where something is. */
export function watchProblem(sources: readonly Source[]): string | undefined {
  const unwell = sources.find(({ watchHealth }) => watchHealth.problem !== undefined);
  const how = unwell?.watchHealth.mode === 'polling' ? ' is polled' : '';
  return unwell && `${unwell.id}${how}: ${unwell.watchHealth.problem}`;
}
