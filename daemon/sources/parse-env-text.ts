import { DaemonError } from '../model/errors.ts';
import { type ParseRules, tooManyKeys } from './parse-rules.ts';

type EnvRules = Pick<ParseRules, 'subject' | 'keys'>;

const name = /[\w.-]+/y;
const blanks = /[ \t]*/y;
const exported = /export[ \t]+(?=[\w.-]+[ \t]*=)/y;
/** From `#` to the end of a line, or nothing. */
const ending = /[ \t]*(?:#[^\n]*)?(?:\n|$)/y;
const special = /["\\]/g;
const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\' };

/**
 * The variables of a `.env` text, in order: `NAME=value` a line, `export` before it or not, comments from `#`. A value in
 * single quotes or backticks is as it is written, one in double quotes knows `\n`, `\r`, `\t`, `\"` and `\\`, and both may
 * run over lines; a bare one ends before ` #` and has no blanks around it. What is checked is what is served: one pass
 * takes each value from the very characters that it has looked at. Throws `source_malformed`,
 * `source_duplicate_key` or `source_too_many_keys`.
 */
export function parseEnvText(source: string, rules: EnvRules): Record<string, string> {
  return new EnvText(source.replace(/\r\n?/g, '\n'), rules).read();
}

class EnvText {
  readonly #text: string;
  readonly #rules: EnvRules;
  #at = 0;

  constructor(text: string, rules: EnvRules) {
    this.#text = text;
    this.#rules = rules;
  }

  read(): Record<string, string> {
    // A name may be any, `__proto__` too; it is told later that this is no path.
    const found = new Map<string, string>();
    while (this.#at < this.#text.length) {
      if (this.#take(ending) !== undefined) continue;
      const start = this.#at;
      const key = this.#name();
      if (found.has(key)) throw this.#error('source_duplicate_key', `${key} is given twice`, 'keep one of them', start);
      if (found.size === this.#rules.keys) throw tooManyKeys(this.#rules);
      found.set(key, this.#value(start));
    }
    return Object.fromEntries(found);
  }

  #name(): string {
    const start = this.#at;
    this.#take(blanks);
    this.#take(exported);
    const found = this.#take(name);
    this.#take(blanks);
    if (!found || this.#text[this.#at] !== '=')
      throw this.#malformed('is not NAME=value', 'quote the value, or start a comment with #', start);
    this.#at++;
    this.#take(blanks);
    return found;
  }

  #value(start: number): string {
    const quote = this.#text[this.#at];
    if (quote !== '"' && quote !== "'" && quote !== '`') return this.#bare();
    const value = quote === '"' ? this.#escaped(start) : this.#literal(quote, start);
    if (this.#take(ending) === undefined)
      throw this.#malformed('has something behind the closing quote', 'quote the whole value', start);
    return value;
  }

  /** Up to the end of the line, or to a `#` behind a blank. */
  #bare(): string {
    const end = this.#text.indexOf('\n', this.#at);
    const line = this.#text.slice(this.#at, end === -1 ? undefined : end);
    this.#at += line.length + 1;
    const comment = /(?:^|[ \t])#/.exec(line);
    return (comment ? line.slice(0, comment.index) : line).trim();
  }

  #literal(quote: string, start: number): string {
    const end = this.#text.indexOf(quote, this.#at + 1);
    if (end === -1) throw this.#unclosed(start);
    const value = this.#text.slice(this.#at + 1, end);
    this.#at = end + 1;
    return value;
  }

  #escaped(start: number): string {
    const pieces: string[] = [];
    for (let from = this.#at + 1; ; ) {
      special.lastIndex = from;
      const found = special.exec(this.#text);
      if (!found) throw this.#unclosed(start);
      pieces.push(this.#text.slice(from, found.index));
      if (found[0] === '"') {
        this.#at = found.index + 1;
        return pieces.join('');
      }
      const next = this.#text[found.index + 1];
      if (next === undefined) throw this.#unclosed(start);
      // One that means nothing is there as it is written.
      pieces.push(escapes[next] ?? `\\${next}`);
      from = found.index + 2;
    }
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text)?.[0];
    if (match !== undefined) this.#at += match.length;
    return match;
  }

  #unclosed(start: number): DaemonError {
    return this.#malformed('opens a quote that is never closed', 'close it, or quote by another kind', start);
  }

  #malformed(what: string, mend: string, at: number): DaemonError {
    return this.#error('source_malformed', what, mend, at);
  }

  #error(code: 'source_malformed' | 'source_duplicate_key', what: string, mend: string, at: number): DaemonError {
    const line = this.#text.slice(0, at).split('\n').length;
    return new DaemonError(code, what, { subject: this.#rules.subject, line, mend });
  }
}
