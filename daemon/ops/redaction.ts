import { isEqual, isObject, type JsonValue } from '../../schemas/json.ts';
import { redacted } from '../model/secrecy.ts';
import type { Actor } from '../model/snapshot.ts';
import { HeldTexts } from './held-texts.ts';
import { TextIndex } from './text-index.ts';

/** Shorter values are too common in ordinary text to be looked for. */
export const shortestSecret = 6;

/** Fields whose value is never shown; `secret` is none of them, for it is the name of one that is said there. */
const secretKeys = /pass(word|wd|phrase)|token|api[-_]?key|authorization|cookie|credential|private[-_]?key|secret.+/i;

/**
 * Takes secrets out of text, in the forms in which they may turn up (as it is, in a URI, in JSON, in base64 at each
 * alignment, in hexadecimal). Secret is what was parsed lately ({@link remember}) and what somebody still uses
 * ({@link hold}). Holding costs what changed; the forms are worked out when the next text is cleaned.
 */
export class Redaction {
  readonly #documents = new Map<string, readonly JsonValue[]>();
  readonly #held = new HeldTexts();
  readonly #index = new TextIndex(shortestSecret);

  /**
   * The values of a document that was parsed: they and those of its previous content are secret from now on, so that a late
   * error about a rotated secret is clean too.
   */
  remember(document: string, values: JsonValue): void {
    const [present, previous] = this.#documents.get(document) ?? [];
    if (isEqual(present, values)) return;
    this.hold(values);
    if (previous !== undefined) this.release(previous);
    this.#documents.set(document, present === undefined ? [values] : [values, present]);
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
    this.#updateIndex();
    let clean = '';
    let end = 0;
    for (let at = 0; at + shortestSecret <= text.length; at++) {
      const length = this.#index.longestAt(text, at);
      if (length === 0) continue;
      // Secrets may overlap: what one leaves over the other must cover.
      if (at >= end) clean += text.slice(end, at) + redacted;
      end = Math.max(end, at + length);
    }
    return clean + text.slice(end);
  }

  /** A value for a log line: texts cleaned, values under keys that name a secret replaced. */
  cleanValue(value: unknown, key = ''): unknown {
    if (typeof value === 'string') return secretKeys.test(key) ? redacted : this.clean(value);
    if (value instanceof Error) return this.clean(`${value.name}: ${value.message}`);
    if (Array.isArray(value)) return value.map((item) => this.cleanValue(item, key));
    if (!isObject(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, this.cleanValue(inner, name)]));
  }

  /** Why somebody wants something is kept and shown, and may quote what it should not. */
  cleanActor<A extends Omit<Actor, 'cause'>>(actor: A): A {
    const { by, reason } = actor;
    return { ...actor, ...(by && { by: this.clean(by) }), ...(reason && { reason: this.clean(reason) }) };
  }

  #updateIndex(): void {
    for (const [text, isHeld] of this.#held.takeChanges())
      for (const form of formsOf(text)) {
        if (isHeld) this.#index.add(form);
        else this.#index.delete(form);
      }
  }
}

function formsOf(text: string): Set<string> {
  if (text.length < shortestSecret) return new Set();
  const bytes = Buffer.from(text);
  const forms = [
    text,
    encodeURIComponent(text.toWellFormed()),
    JSON.stringify(text).slice(1, -1),
    bytes.toString('hex'),
  ];
  for (const shift of [0, 1, 2]) {
    // Inside longer base64 a value starts at one of three alignments; only the characters that are wholly its own count.
    const encoded = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    const own = encoded.slice(Math.ceil((shift * 8) / 6), Math.floor(((shift + bytes.length) * 8) / 6));
    forms.push(own, own.replaceAll('+', '-').replaceAll('/', '_'));
  }
  return new Set(forms.filter((form) => form.length >= shortestSecret));
}
