import type { Session } from './session.ts';
import type { SessionEvent } from './session-event.ts';

/** Names that are listed. */
const maxNames = 10;

/** The connected programs that changes do not wait for, since they let two verifications in a row pass without an answer. */
export class LostVotes {
  readonly #sessions = new Set<Session>();
  readonly #onProblem: (problem: string | undefined) => void;

  /** `onProblem`: which ones there are, whenever that changes; `undefined` for none. */
  constructor(onProblem: (problem: string | undefined) => void) {
    this.#onProblem = onProblem;
  }

  follow(event: SessionEvent, session: Session): void {
    if (event.kind === 'vote' && event.isLost) this.#sessions.add(session);
    else if (!(event.kind === 'vote' || event.kind === 'left') || !this.#sessions.delete(session)) return;
    const names = [...this.#sessions].map(({ name }) => name).slice(0, maxNames);
    const what = `changes do not wait for ${names.join(', ')}: no answer to two verifications in time`;
    this.#onProblem(names.length > 0 ? what : undefined);
  }
}
