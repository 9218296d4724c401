import { DaemonError } from '../model/errors.ts';
import type { Account, Happenings } from '../observe/happenings.ts';
import { Refused } from './gate.ts';

/** Names and numbers; never a value. */
export type Facts = Readonly<Record<string, unknown>>;

export interface OperateParts {
  readonly happenings: Happenings;
  /** Writes down what is about to be done. Throws `audit_unwritable`. */
  readonly intend: (what: string, by: Account, facts: Facts) => void;
}

export interface Operation<T> {
  readonly what: string;
  readonly by: Account;
  readonly facts: Facts;
  readonly task: () => Promise<T> | T;
  /** How it ended, for the audit log. */
  readonly outcomeOf: (result: T) => Facts & { readonly outcome: string };
}

/** Does what somebody asked for, written down before it is done, and how it ended after. Throws what the task throws. */
export async function operate<T>(
  { happenings, intend }: OperateParts,
  { what, by, facts, task, outcomeOf }: Operation<T>,
): Promise<T> {
  intend(what, by, facts);
  try {
    const result = await task();
    const { outcome, ...more } = outcomeOf(result);
    happenings.tell({ kind: 'operation', what, by, outcome, facts: { ...facts, ...more } });
    return result;
  } catch (error) {
    const code = error instanceof DaemonError ? error.code : 'internal';
    // A refusal is told as one, by who answers it.
    if (!(error instanceof Refused))
      happenings.tell({ kind: 'operation', what, by, outcome: 'failed', facts: { ...facts, code } });
    throw error;
  }
}

/** How a rotation ended. A secret is called by its `name`: what is called `secret` is taken for one. */
export function outcomeOfRotation({
  outcome,
  version,
  revision,
}: {
  outcome: string;
  version: number;
  revision: number;
}) {
  return { outcome, version, revision };
}
