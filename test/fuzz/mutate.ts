import { mulberry32 } from '../support/random.ts';

/** Longer inputs are cut. */
export const maxInputBytes = 128 * 1024;

/** What parsers stumble over, whatever their language is. */
const nasties: readonly (string | Buffer)[] = [
  ...['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', '\u0000', '\uFEFF', '\u2028', '\u202E'],
  ...['\f', '\r', '\n', '\t', ' ', '"', "'", '`', '\\', '\\u0000', '\\ud800', '\\udc00', '💥', '%00', '%', '../', '~'],
  ...['{', '}', '[', ']', '(', ')', ':', ',', '#', '&', '*', '!', '|', '>', '-', '?', '=', '$', '${', '@', ';'],
  ...['null', 'true', 'false', 'NaN', 'Infinity', '-0', 'x'.repeat(1_000), 'a'.repeat(70_000)],
  Buffer.from([0xed, 0xa0, 0x80]),
  Buffer.from([0xff, 0xfe]),
  Buffer.from([0xc0, 0x80]),
  Buffer.from([0xf4, 0x90, 0x80, 0x80]),
];

const numbers = [
  ...['0', '-1', '1', '00', '255', '256', '65535', '65536', '2147483647', '2147483648', '-2147483649', '4294967296'],
  ...['9007199254740991', '9007199254740992', '-9007199254740993', '18446744073709551616', '1e308', '1e999', '1e-400'],
  ...['0.1', '1.7976931348623157e308', '0x10', '1_000', '٣', '9'.repeat(400)],
];

/** Makes inputs out of others; the same from the same seed and the same corpus. */
export class Mutator {
  readonly #random: () => number;
  readonly #words: readonly (string | Buffer)[];

  /** `words` are those of the face's language. */
  constructor(seed: number, words: readonly string[]) {
    this.#random = mulberry32(seed);
    this.#words = words;
  }

  /** One of the corpus with one to eight changes; one in fifty stays as it is. */
  next(corpus: readonly Buffer[]): Buffer {
    let input = this.#pick(corpus);
    if (this.#below(50) === 0) return input;
    for (let left = 1 + this.#below(2) * this.#below(8); left > 0; left--)
      input = this.#changed(input, corpus).subarray(0, maxInputBytes);
    return input;
  }

  #changed(input: Buffer, corpus: readonly Buffer[]): Buffer {
    const at = this.#below(input.length + 1);
    const to = Math.min(input.length, at + 1 + this.#below(this.#below(2) ? 8 : 200));
    const part = input.subarray(at, to);
    const put = (...pieces: readonly (string | Buffer)[]) => Buffer.concat(pieces.map((piece) => Buffer.from(piece)));
    const [before, after, behind] = [input.subarray(0, at), input.subarray(at), input.subarray(to)];
    switch (this.#below(12)) {
      case 0:
        return this.#flipped(input);
      case 1:
        return put(before, Buffer.from([this.#below(256)]), behind);
      case 2:
        return put(before, behind);
      case 3:
        return put(before, this.#word(), this.#below(2) ? after : behind);
      case 4:
        return put(before, this.#word(), this.#word(), after);
      case 5:
        return this.#below(4) ? put(before, behind) : before;
      case 6:
        return this.#spliced(input, at, corpus);
      case 7:
        return put(before, ...Array(this.#many()).fill(part), after);
      case 8:
        return this.#nested(before, part, behind);
      case 9:
        return this.#renumbered(input);
      case 10:
        return this.#withLines(input);
      default:
        return put(before, behind, part);
    }
  }

  #flipped(input: Buffer): Buffer {
    const copy = Buffer.from(input);
    const at = this.#below(copy.length);
    if (copy.length > 0) copy[at]! ^= 1 << this.#below(8);
    return copy;
  }

  #spliced(input: Buffer, at: number, corpus: readonly Buffer[]): Buffer {
    const other = this.#pick(corpus);
    const from = this.#below(other.length + 1);
    const tail = this.#below(2) ? other.subarray(from) : other.subarray(from, from + 40);
    return Buffer.concat([input.subarray(0, at), tail, this.#below(2) ? input.subarray(at) : Buffer.alloc(0)]);
  }

  #nested(before: Buffer, part: Buffer, behind: Buffer): Buffer {
    const [open, close] = this.#pick([
      ['[', ']'],
      ['{"a":', '}'],
      ['{a: ', '}'],
      ['- ', ''],
      ['"', '"'],
    ] as const);
    const times = this.#many();
    return Buffer.concat([before, Buffer.from(open.repeat(times)), part, Buffer.from(close.repeat(times)), behind]);
  }

  #renumbered(input: Buffer): Buffer {
    const text = input.toString('latin1');
    const found = [...text.matchAll(/-?\d+/g)];
    if (found.length === 0) return input;
    const { index, 0: old } = this.#pick(found);
    const changed = this.#below(3) ? this.#pick(numbers) : String(Number(old) + this.#below(3) - 1);
    return Buffer.concat([input.subarray(0, index), Buffer.from(changed), input.subarray(index + old.length)]);
  }

  #withLines(input: Buffer): Buffer {
    const lines = input.toString('latin1').split('\n');
    const [one, other] = [this.#below(lines.length), this.#below(lines.length)];
    const line = lines[one]!;
    if (this.#below(2)) lines.splice(other, 0, line);
    else [lines[one], lines[other]] = [lines[other]!, line];
    return Buffer.from(lines.join('\n'), 'latin1');
  }

  #word(): string | Buffer {
    const kind = this.#below(5);
    return kind === 0
      ? this.#pick(nasties)
      : kind === 1 || this.#words.length === 0
        ? this.#pick(numbers)
        : this.#pick(this.#words);
  }

  /** How often something is repeated: mostly a few times. */
  #many(): number {
    return this.#below(60) === 0 ? 1 + this.#below(20_000) : 1 + this.#below(this.#below(4) ? 4 : 200);
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#below(items.length)]!;
  }

  #below(end: number): number {
    return Math.floor(this.#random() * end);
  }
}
