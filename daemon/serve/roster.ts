import type { ExpectedProgram } from '../model/snapshot.ts';
import type { Clock } from '../ops/clock.ts';

/** Where the expected programs survive a restart. */
export interface RosterKeeper {
  expected: readonly ExpectedProgram[];
  /** Who was connected before the start is not known, because the state was damaged. */
  readonly isLost?: boolean;
}

export interface RosterParts {
  readonly keeper: RosterKeeper;
  readonly clock: Clock;
}

/** How long a start waits for programs that were connected before it: a client that is out of luck tries again only after 5 s. */
export const returnMs = 6_000;
/** Programs that are remembered; the longest absent go first. */
const maxExpected = 256;

/**
 * The programs that are expected, by view and name: those that are connected, and those that were and did not say goodbye.
 * After a restart nobody is connected yet, which must not pass for consent.
 */
export class Roster {
  readonly #parts: RosterParts;
  /** Connections by program. */
  readonly #connected = new Map<string, number>();
  readonly #expected: Map<string, ExpectedProgram>;
  /** Those with `verify` that are expected since before the start, and not back yet. */
  readonly #awaited: Set<string>;
  readonly #returned = Promise.withResolvers<void>();
  readonly #wanted = Promise.withResolvers<void>();
  /** Any program may have been connected before the start, and come back. */
  #isUnknown: boolean;
  #isSaving = false;
  #isClosed = false;

  constructor(parts: RosterParts) {
    this.#parts = parts;
    const { expected, isLost = false } = parts.keeper;
    this.#isUnknown = isLost;
    this.#expected = new Map(expected.map((program) => [program.voter, program]));
    this.#awaited = new Set(expected.filter(({ verifies }) => verifies).map(({ voter }) => voter));
    this.#resolveReturned();
  }

  /** Resolves when something waits for the programs to be back. */
  get wanted(): Promise<void> {
    return this.#wanted.promise;
  }

  /** Programs can connect from now on. */
  open(): void {
    const giveUp = () => {
      for (const voter of this.#awaited) this.#expected.delete(voter);
      this.#awaited.clear();
      this.#isUnknown = false;
      this.#resolveReturned();
      this.#save();
    };
    if (this.#awaited.size > 0 || this.#isUnknown) this.#parts.clock.after(returnMs, giveUp);
  }

  /** Programs with `verify` of one of these views were connected before the start, and may still come back. */
  isAwaiting(views: readonly string[]): boolean {
    return this.#isUnknown || [...this.#awaited].some((voter) => views.includes(voter.slice(0, voter.indexOf('/'))));
  }

  #resolveReturned(): void {
    if (this.#awaited.size === 0 && !this.#isUnknown) this.#returned.resolve();
  }

  /**
   * Resolves when the programs with `verify` are back that were connected before the start, or did not come in time; at once
   * where none of them is of one of these views.
   */
  returned(views: readonly string[]): Promise<void> {
    if (!this.isAwaiting(views)) return Promise.resolve();
    this.#wanted.resolve();
    return this.#returned.promise;
  }

  isConnected(voter: string): boolean {
    return this.#connected.has(voter);
  }

  /** Programs of one of these views are expected and not connected. */
  isMissing(views: readonly string[]): boolean {
    if (this.#isUnknown) return true;
    return [...this.#expected.keys()].some(
      (voter) => !this.isConnected(voter) && views.some((view) => voter.startsWith(`${view}/`)),
    );
  }

  /** Those that are missing are not expected any more. */
  forgetMissing(): void {
    this.#isUnknown = false;
    for (const voter of this.#expected.keys()) if (!this.isConnected(voter)) this.#expected.delete(voter);
    this.#save();
  }

  joined(program: ExpectedProgram): void {
    const { voter } = program;
    this.#connected.set(voter, (this.#connected.get(voter) ?? 0) + 1);
    this.#awaited.delete(voter);
    this.#resolveReturned();
    if (this.#expected.get(voter)?.verifies === program.verifies) return;
    this.#expected.set(voter, program);
    for (const oldest of this.#expected.keys())
      if (this.#expected.size > maxExpected && !this.isConnected(oldest)) this.#expected.delete(oldest);
    this.#save();
  }

  /** True when no other connection of this program is left, and it said goodbye. */
  left(voter: string, saidGoodbye: boolean): boolean {
    const others = (this.#connected.get(voter) ?? 1) - 1;
    if (others > 0) this.#connected.set(voter, others);
    else this.#connected.delete(voter);
    if (others > 0 || !saidGoodbye) return false;
    this.#expected.delete(voter);
    this.#save();
    return true;
  }

  // Programs come in crowds: one write for all of a turn.
  #save(): void {
    if (this.#isSaving || this.#isClosed) return;
    this.#isSaving = true;
    setImmediate(() => this.flush());
  }

  /** The daemon is stopping: who leaves from now on is still expected. */
  close(): void {
    this.flush();
    this.#isClosed = true;
  }

  /** Writes what has changed. */
  flush(): void {
    if (!this.#isSaving) return;
    this.#isSaving = false;
    this.#parts.keeper.expected = [...this.#expected.values()].slice(-maxExpected);
  }
}
