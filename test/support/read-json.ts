/**
 * A second reader of JSON, by the grammar of RFC 8259, for comparing. Refuses what `config/README.md` lists: two equal keys
 * in one object, and numbers that cannot be exact.
 */
export function readJson(text: string): unknown {
  const reader = new Reader(text);
  return reader.document();
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): unknown {
    const value = this.#value();
    if (this.#at < this.#text.length) throw new SyntaxError('something follows');
    return value;
  }

  #value(): unknown {
    this.#take(/[ \t\n\r]*/y);
    const value = this.#bare();
    this.#take(/[ \t\n\r]*/y);
    return value;
  }

  #bare(): unknown {
    if (this.#is('{')) return this.#object();
    if (this.#is('[')) return this.#list(']', () => this.#value());
    const string = this.#take(/"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y);
    if (string) return unescaped(string.slice(1, -1));
    const number = this.#take(/-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y);
    if (number) return exact(Number(number));
    const word = this.#take(/true|false|null/y);
    if (word) return { true: true, false: false, null: null }[word];
    throw new SyntaxError('no value');
  }

  #object(): unknown {
    const entries = this.#list('}', () => {
      const key = this.#value();
      if (typeof key !== 'string' || !this.#is(':')) throw new SyntaxError('no key');
      return [key, this.#value()] as const;
    });
    if (new Set(entries.map(([key]) => key)).size < entries.length) throw new SyntaxError('two equal keys');
    return Object.fromEntries(entries);
  }

  #list<T>(end: string, item: () => T): T[] {
    this.#take(/[ \t\n\r]*/y);
    if (this.#is(end)) return [];
    const items = [item()];
    while (this.#is(',')) items.push(item());
    if (!this.#is(end)) throw new SyntaxError('not closed');
    return items;
  }

  #is(character: string): boolean {
    const found = this.#text[this.#at] === character;
    if (found) this.#at++;
    return found;
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found) this.#at += found.length;
    return found;
  }
}

const escapes: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

function unescaped(text: string): string {
  return text.replace(/\\(?:u(.{4})|(.))/g, (_, code?: string, letter = '') =>
    code ? String.fromCharCode(Number.parseInt(code, 16)) : (escapes[letter] ?? letter),
  );
}

function exact(value: number): number {
  const isKept = Number.isInteger(value) ? Number.isSafeInteger(value) : Number.isFinite(value);
  if (!isKept) throw new SyntaxError('a number that cannot be kept exactly');
  return value;
}
