import { type DaemonErrorCode, daemonErrors, type Issue } from '../../schemas/errors.ts';
import type { Rejecting } from '../../schemas/wire.ts';

export interface ErrorFacts {
  /** The file, socket, variable or option that it is about. */
  readonly subject?: string;
  /** Where in the file, from 1. */
  readonly line?: number;
  readonly column?: number;
  /** The path in the settings or in the options. */
  readonly path?: string;
  /** What to do about it. */
  readonly mend?: string;
  readonly issues?: readonly Issue[];
  /** The programs that reject it. */
  readonly rejectedBy?: readonly Rejecting[];
  /** All programs that did not accept it, as `view/name`. */
  readonly refusers?: readonly string[];
  readonly sourceId?: string;
  /** The system's own code, such as `EACCES`. */
  readonly systemCode?: string;
  readonly cause?: unknown;
}

/**
 * A foreseen failure. `code` is from the closed list in `schemas/errors.ts`; the message names the subject, the place,
 * the rule and the mend, and never holds a value.
 */
export class DaemonError extends Error {
  override name = 'DaemonError';
  readonly code: DaemonErrorCode;
  readonly facts: ErrorFacts;

  constructor(code: DaemonErrorCode, what: string, facts: ErrorFacts = {}) {
    super(compose(what, facts), facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = code;
    this.facts = facts;
  }

  get exitCode(): number {
    return daemonErrors[this.code];
  }

  /** What is wrong, one by one: the issues that it gathered, or itself as the only one. */
  get issues(): readonly Issue[] {
    return this.facts.issues ?? [{ path: this.facts.path ?? '', keyword: this.code, message: this.message }];
  }

  /** The same failure, whose line is known. */
  at(line: number): DaemonError {
    const { subject } = this.facts;
    if (!subject || !this.message.startsWith(`${subject}: `)) return this;
    const copy = new DaemonError(this.code, '', { ...this.facts, line });
    copy.message = `${subject}:${line}${this.message.slice(subject.length)}`;
    return copy;
  }

  /** The same failure, known to be of one source. */
  ofSource(sourceId: string): DaemonError {
    if (this.facts.sourceId) return this;
    const copy = new DaemonError(this.code, '', { ...this.facts, sourceId });
    copy.message = this.message;
    return copy;
  }
}

/** Several failures told as one: the first, and how many more; each is among its issues. `undefined` when there is none. */
export function joinErrors([first, ...more]: readonly DaemonError[]): DaemonError | undefined {
  if (!first || more.length === 0) return first;
  const issues = [first, ...more].map(({ code, message }) => ({ path: '', keyword: code, message }));
  const all = new DaemonError(first.code, '', { ...first.facts, issues });
  all.message = `${first.message}, and ${more.length} more`;
  return all;
}

/** `a.yaml:3:5: database.url: what is wrong (what to do)`. */
function compose(what: string, { subject, line, column, path, mend }: ErrorFacts): string {
  const place = [subject, line, line === undefined ? undefined : column].filter((part) => part !== undefined).join(':');
  return (
    [place, path]
      .filter(Boolean)
      .map((part) => `${part}: `)
      .join('') +
    what +
    (mend ? ` (${mend})` : '')
  );
}

/** The `code` of a system error, such as `ENOENT`; `undefined` for anything else. */
export function systemCode(error: unknown): string | undefined {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}
