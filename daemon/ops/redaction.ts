import { describeError, withoutParsersWords } from '../../schemas/describe-error.ts';
import { isEqual, isObject, type JsonValue } from '../../schemas/json.ts';
import { Redactor, redacted } from '../../schemas/redactor.ts';
import type { Actor } from '../model/snapshot.ts';
import { HeldTexts } from './held-texts.ts';

/** Shorter values are too common in ordinary text to be looked for. */
export const shortestSecret = 6;

/** Of so many the last contents are remembered; what is served or can be again is held besides. */
const maxDocuments = 10_000;

/** Fields whose value is never shown; `secret` is none of them, for it is the name of one that is said there. */
const secretKeys = /pass(word|wd|phrase)|token|api[-_]?key|authorization|cookie|credential|private[-_]?key|secret.+/i;

/**
 * Takes secrets out of text, in every form that {@link Redactor} knows. Secret is what was parsed lately ({@link remember})
 * and what somebody still uses ({@link hold}). Holding costs what changed, and the next text that is cleaned its indexing.
 */
export class Redaction {
  readonly #documents = new Map<string, readonly JsonValue[]>();
  readonly #held = new HeldTexts(shortestSecret);
  readonly #redactor = new Redactor(shortestSecret);

  /**
   * The values of a document that was parsed: they and those of its previous content are secret from now on, so that a late
   * error about a rotated secret is clean too.
   */
  remember(document: string, values: JsonValue): void {
    const [present, previous] = this.#documents.get(document) ?? [];
    if (isEqual(present, values)) return;
    this.hold(values);
    if (previous !== undefined) this.release(previous);
    // The order is that of the last change.
    this.#documents.delete(document);
    this.#documents.set(document, present === undefined ? [values] : [values, present]);
    for (const oldest of this.#documents.keys()) if (this.#documents.size > maxDocuments) this.forget(oldest);
  }

  /** Parts that come from disk and may be sent to programs before they are committed: as a document of their own. Returns them. */
  remembered<Parts extends readonly { readonly settings: JsonValue }[]>(parts: Parts | undefined): Parts | undefined {
    if (parts)
      this.remember(
        '\nkept',
        parts.map(({ settings }) => settings),
      );
    return parts;
  }

  /** The document is gone: its values are no longer secret, except where they are held otherwise. */
  forget(document: string): void {
    for (const values of this.#documents.get(document) ?? []) this.release(values);
    this.#documents.delete(document);
  }

  /** The values in a frozen tree are secret until the same tree was released as often as it was held. */
  hold(values: JsonValue): void {
    this.#held.hold(values);
  }

  /** Ends one {@link hold} of this very tree (by identity); ignored when it is not held. */
  release(values: JsonValue): void {
    this.#held.release(values);
  }

  /** The text without any secret in it. */
  clean(text: string): string {
    this.#updateRedactor();
    return this.#redactor.clean(text);
  }

  /** What a program or an operator says, as {@link Redactor.cleanMessage}; of a parser's error only the place. */
  cleanMessage(message: string): string {
    this.#updateRedactor();
    return this.#redactor.cleanMessage(withoutParsersWords(message), this.#held.texts);
  }

  /** A value for a log line: texts cleaned, values under keys that name a secret replaced. */
  cleanValue(value: unknown, key = ''): unknown {
    if (typeof value === 'string') return secretKeys.test(key) ? redacted : this.clean(value);
    if (value instanceof Error) return this.clean(`${value.name}: ${describeError(value)}`);
    if (Array.isArray(value)) return value.map((item) => this.cleanValue(item, key));
    if (!isObject(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, this.cleanValue(inner, name)]));
  }

  /** Why somebody wants something is kept and shown, and may quote what it should not. */
  cleanActor<A extends Omit<Actor, 'cause'>>(actor: A): A {
    const { by, reason } = actor;
    return { ...actor, ...(by && { by: this.clean(by) }), ...(reason && { reason: this.cleanMessage(reason) }) };
  }

  #updateRedactor(): void {
    for (const [text, isHeld] of this.#held.takeChanges())
      if (isHeld) this.#redactor.add(text);
      else this.#redactor.delete(text);
  }
}
