/** A text as it reads decoded, and where each of its characters stands in the text that it was decoded from. */
export interface View {
  readonly text: string;
  /** Where the character at this place begins. */
  readonly from: (at: number) => number;
  /** Where the character at this place ends. */
  readonly to: (at: number) => number;
}

const jsonEscape = /\\(?:u([\da-f]{4})|(["\\/bfnrt]))/gi;
const jsonCharacters: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };
/** One byte each. */
const percentEscape = /%([\da-f]{2})/gi;

/** The text itself, and as it reads without the escapes of JSON, of URLs and of both, up to three times. */
export function unescapedViews(text: string): View[] {
  const views: View[] = [{ text, from: (at) => at, to: (at) => at + 1 }];
  let isNew = 0;
  for (let depth = 0; depth < 3; depth++) {
    const end = views.length;
    for (; isNew < end; isNew++) views.push(...unescapings(views[isNew]!));
  }
  return views;
}

/** What stands in base64 (of both alphabets, at each alignment) or hexadecimal in a text, one character for each byte. */
export function* binaryViews(view: View): Generator<View> {
  for (const { 0: run, index } of view.text.matchAll(/[A-Za-z\d+/_-]{8,}/g))
    for (const shift of [0, 1, 2, 3]) yield decodedRun(view, run, index + shift, shift, 'base64', 6);
  for (const { 0: run, index } of view.text.matchAll(/[\da-f]{12,}/gi))
    for (const shift of [0, 1]) yield decodedRun(view, run, index + shift, shift, 'hex', 4);
}

/** A text as {@link binaryViews} and percent escapes give it: one character for each byte of its UTF-8. */
export function asBytes(text: string): string {
  return /^[\0-\x7f]*$/.test(text) ? text : Buffer.from(text).toString('latin1');
}

function unescapings(view: View): View[] {
  const { text } = view;
  const found: View[] = [];
  if (text.includes('\\'))
    found.push(
      unescaped(view, jsonEscape, ([, code, sign = '']) =>
        code ? String.fromCharCode(Number.parseInt(code, 16)) : (jsonCharacters[sign] ?? sign),
      ),
    );
  if (text.includes('%'))
    found.push(unescaped(view, percentEscape, ([, byte = '']) => String.fromCharCode(Number.parseInt(byte, 16))));
  return found.filter((one) => one.text.length < text.length);
}

function unescaped(view: View, pattern: RegExp, decode: (match: RegExpExecArray) => string): View {
  const starts: number[] = [];
  const pieces: string[] = [];
  let end = 0;
  const copy = (until: number) => {
    pieces.push(view.text.slice(end, until));
    for (; end < until; end++) starts.push(end);
  };
  for (const match of view.text.matchAll(pattern)) {
    copy(match.index);
    pieces.push(decode(match));
    starts.push(end);
    end += match[0].length;
  }
  copy(view.text.length);
  starts.push(end);
  return {
    text: pieces.join(''),
    from: (at) => view.from(starts[at]!),
    to: (at) => view.to(starts[at + 1]! - 1),
  };
}

function decodedRun(
  view: View,
  run: string,
  index: number,
  shift: number,
  encoding: 'base64' | 'hex',
  bits: number,
): View {
  return {
    text: Buffer.from(run.slice(shift), encoding).toString('latin1'),
    from: (at) => view.from(index + Math.floor((at * 8) / bits)),
    to: (at) => view.to(index + Math.ceil(((at + 1) * 8) / bits) - 1),
  };
}
