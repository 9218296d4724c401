/** One way by which bytes of others come in, ready to be tried. */
export interface Face {
  /** Good inputs, from which others are made. */
  readonly corpus: readonly Buffer[];
  /** Words of the face's language, which are put into inputs. */
  readonly words: readonly string[];
  /** The modules whose coverage counts, as paths below the repository's root. */
  readonly modules: RegExp;
  /**
   * Inputs that reach new code join the corpus. Only for a face that does the same with the same input each time, for else
   * the same seed would not make the same inputs.
   */
  readonly hasFeedback: boolean;
  /** How long one input may keep this thread busy. Default 1000 ms. */
  readonly maxBusyMs?: number;
  /** Tries one input. Whatever it throws is a finding. */
  try(input: Buffer): void | Promise<void>;
  /** Looks at what the inputs so far have done to others. Whatever it throws is a finding. */
  check?(): Promise<void>;
  close?(): Promise<void>;
}

export type OpenFace = () => Face | Promise<Face>;

/** Something that must not happen. The message says what, is the same for the same cause, and quotes no input. */
export class Finding extends Error {
  override name = 'Finding';
}

/** Fails with a finding unless it holds. */
export function must(condition: unknown, otherwise: string): asserts condition {
  if (!condition) throw new Finding(otherwise);
}

/** A secret that is planted in inputs and settings; no error, log line or answer may hold it. It cannot be a name in `.env`. */
export const planted = 'planted-Zq7/x+secret';
