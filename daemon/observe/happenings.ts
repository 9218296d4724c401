import type { Cause, ReloadOutcome, ReloadRecord } from '../model/snapshot.ts';
import type { Trouble } from '../ops/health.ts';
import type { Log } from '../ops/log.ts';
import type { Session } from '../serve/session.ts';
import type { SessionEvent } from '../serve/session-event.ts';

/** Who asked on the operator's interface, as far as is known. */
export interface Operator {
  /** The name of the token, or the account that the kernel names. */
  readonly name: string;
  readonly role: 'viewer' | 'admin';
  readonly uid?: number;
  readonly pid?: number;
}

/** Whoever changes something: an operator, or a program whose view lets it. */
export type Account = Operator | (Omit<Operator, 'role'> & { readonly role: 'program' });

/** What happens in the daemon. Texts of others in it are clean of secrets. */
export type Happening =
  | { readonly kind: 'started'; readonly version: string }
  | { readonly kind: 'ready'; readonly revision: number }
  | { readonly kind: 'stopping' }
  | { readonly kind: 'reloading'; readonly cause: Cause }
  | { readonly kind: 'reload'; readonly record: ReloadRecord; readonly outcome: ReloadOutcome }
  /** `sinceCommitMs`: with an accepted revision, from its commit, or from when the program joined, to its answer. */
  | {
      readonly kind: 'session';
      readonly event: SessionEvent;
      readonly session: Session;
      readonly sinceCommitMs?: number | undefined;
    }
  | { readonly kind: 'trouble' | 'recovery'; readonly trouble: Trouble }
  /** A change that somebody asked for has ended. */
  | {
      readonly kind: 'operation';
      readonly what: string;
      readonly by: Account;
      readonly outcome: string;
      readonly facts: Readonly<Record<string, unknown>>;
    }
  /** Something failed that no part caught, and the daemon goes on. */
  | { readonly kind: 'unexpected' }
  /** A request on the operator's interface was refused. */
  | {
      readonly kind: 'refusal';
      readonly why: string;
      readonly status: number;
      readonly by?: Operator | undefined;
      readonly route: string;
    };

export type Observer = (happening: Happening) => void;

/** Tells what happens to those who only look on: metrics, audit, alerts, live views. One that fails hurts nobody. */
export class Happenings {
  readonly #observers = new Set<Observer>();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  /** The returned function ends it. */
  follow(observer: Observer): () => void {
    this.#observers.add(observer);
    return () => void this.#observers.delete(observer);
  }

  tell(happening: Happening): void {
    for (const observer of this.#observers) {
      try {
        observer(happening);
      } catch (error) {
        const message = `an observer of ${happening.kind} failed: ${(error as Error).message}`;
        this.#log('error', 'observer_failed', message, { kind: happening.kind });
      }
    }
  }
}
