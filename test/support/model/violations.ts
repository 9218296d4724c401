/** The rules that can be switched off by name, with what each one holds. */
export const invariants = {
  torn: 'a program never has a mix of two contents',
  right: 'a program never has a content that no source ever said',
  backwards: 'a program never goes back within an epoch',
  committed: 'what a program accepts was committed',
  same: 'a revision is the same for everybody who sees it',
  refused: 'what a program has refused in its verify is not committed',
  unbaked: 'what has not baked is run by the first programs only',
  withdrawn: 'what was withdrawn, or rejected while it baked, does not go to anybody again',
  converge: 'once the sources rest and the programs accept, all run what the sources say',
  pin: 'the pinned revision is the one that is served',
  status: 'a program that is shown as current runs the revision that is shown',
  delivery: 'the history counts every program that accepted a revision',
  answers: 'what an operator is answered is true',
  linked: 'no program is cut off for what the client says for it',
  closed: 'a program hears nothing after it has closed',
  silent: 'no program is taken for silent that answers in time',
  kept: 'with a key, a start without sources serves what all programs ran',
  idle: 'a world at rest is not reloaded',
  leak: 'no secret is in the log or the state folder',
  stopped: 'a stopped daemon leaves no socket behind',
  bugs: 'nothing fails in a way that nobody foresaw',
  steady: 'a restart changes nothing when nothing has changed',
} as const;
export type Invariant = keyof typeof invariants;

export interface Violation {
  readonly invariant: Invariant;
  readonly message: string;
}

const skipped = new Set((process.env.HOTCONF_MODEL_SKIP ?? '').split(',').filter(Boolean));
for (const name of skipped)
  if (!(name in invariants)) throw new Error(`HOTCONF_MODEL_SKIP: no invariant is named ${name}`);

/** What was found in one world, the first of each invariant. */
export class Violations {
  readonly found: Violation[] = [];
  readonly #story: string[];

  constructor(story: string[]) {
    this.#story = story;
  }

  expect(isTrue: boolean, invariant: Invariant, message: () => string): void {
    if (isTrue || skipped.has(invariant) || this.found.some((known) => known.invariant === invariant)) return;
    this.found.push({ invariant, message: message() });
    this.#story.push(`!! ${invariant}`);
  }
}
