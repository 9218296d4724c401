import { isEqual, isObject, type JsonValue } from '../../schemas/json.ts';
import { redacted } from '../model/secrecy.ts';
import type { Actor } from '../model/snapshot.ts';

/** Shorter values are too common in ordinary text to be looked for. */
export const shortestSecret = 6;

/** Fields whose value is never shown; `secret` is none of them, for it is the name of one that is said there. */
const secretKeys = /pass(word|wd|phrase)|token|api[-_]?key|authorization|cookie|credential|private[-_]?key|secret.+/i;

/**
 * Takes secrets out of text: every value that a source has served, in the forms in which it may turn up (as it is, in
 * a URI, in JSON, in base64 at each alignment, in hexadecimal). Values are kept per document, the present and the
 * previous ones of each, so that a late error about a rotated secret is clean too.
 */
export class Redaction {
  readonly #documents = new Map<string, JsonValue[]>();
  readonly #unindexed: { values: JsonValue; count: 1 | -1 }[] = [];
  // Forms by their first characters, each with the number of documents that hold it.
  readonly #forms = new Map<string, Map<string, number>>();

  /** From now on the text values in `values` are secret. Costs nothing until the next text is cleaned. */
  remember(document: string, values: JsonValue): void {
    const kept = this.#documents.get(document) ?? [];
    if (isEqual(kept[0], values)) return;
    this.#documents.set(document, [values, ...kept.slice(0, 1)]);
    this.#unindexed.push({ values, count: 1 });
    if (kept[1] !== undefined) this.#unindexed.push({ values: kept[1], count: -1 });
  }

  hold(_: JsonValue): void {}

  release(_: JsonValue): void {}

  /** The text without any secret in it. */
  clean(text: string): string {
    this.#index();
    let clean = '';
    let from = 0;
    for (let at = 0; at + shortestSecret <= text.length; at++) {
      const found = this.#longestAt(text, at);
      if (found === 0) continue;
      clean += text.slice(from, at) + redacted;
      at += found - 1;
      from = at + 1;
    }
    return clean + text.slice(from);
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

  #longestAt(text: string, at: number): number {
    const bucket = this.#forms.get(text.slice(at, at + shortestSecret));
    let longest = 0;
    for (const form of bucket?.keys() ?? []) {
      if (form.length > longest && text.startsWith(form, at)) longest = form.length;
    }
    return longest;
  }

  #index(): void {
    for (const { values, count } of this.#unindexed.splice(0)) {
      for (const text of textsIn(values)) for (const form of formsOf(text)) this.#count(form, count);
    }
  }

  #count(form: string, change: 1 | -1): void {
    const start = form.slice(0, shortestSecret);
    const bucket = this.#forms.get(start) ?? new Map<string, number>();
    const count = (bucket.get(form) ?? 0) + change;
    if (count > 0) bucket.set(form, count);
    else bucket.delete(form);
    if (bucket.size > 0) this.#forms.set(start, bucket);
    else this.#forms.delete(start);
  }
}

function* textsIn(value: JsonValue): Generator<string> {
  if (typeof value === 'string' || typeof value === 'number') yield String(value);
  else if (Array.isArray(value)) for (const item of value) yield* textsIn(item);
  else if (isObject(value)) for (const item of Object.values(value)) yield* textsIn(item);
}

function formsOf(text: string): Set<string> {
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
  return new Set(forms.filter((form) => form.length >= shortestSecret && text.length >= shortestSecret));
}
