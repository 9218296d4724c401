import { asBytes, binaryViews, unescapedViews, type View } from './encoded-views.ts';
import { confidentialStretches, partsOfSecret } from './secret-texts.ts';
import { sharesRun } from './shared-run.ts';
import { TextIndex } from './text-index.ts';

/** What stands in place of a secret value. */
export const redacted = '[redacted]';
/** What stands in place of a message that may still hold a part of a secret. */
export const withheld = 'message withheld: it shares text with a secret';

/** Words of error messages. A secret that holds one, such as `wrong-password`, is not shown by it. */
const ordinary =
  /\b(passwords?|passphrase|database|username|hostname|localhost|connect(ion|ions|ed|ing)|authenticat(e|ion)|authoriz(ed|ation)|credentials?|certificate|postgres(ql)?|production|development)\b/gi;

/** Longer secrets are looked for in pieces of this length, so that no search at one place is longer. */
const pieceLength = 256;
/** Of a message of a program; the rest is cut off before it is looked at. */
const maxMessage = 500;

/**
 * Takes secrets out of text, and what is secret inside of them ({@link partsOfSecret}). They are found as they are and in JSON,
 * percent-encoding, base64 and hexadecimal, because the text is decoded, not the secrets encoded. One pass, linear in the text;
 * where secrets overlap, all of them go.
 */
export class Redactor {
  readonly #shortest: number;
  readonly #index: TextIndex;

  /** Secrets with fewer characters than `shortest`, at least 3, are left alone. */
  constructor(shortest: number) {
    this.#shortest = shortest;
    this.#index = new TextIndex(shortest);
  }

  /** Adds a secret. It may be added several times. */
  add(secret: string): void {
    this.#eachPiece(secret, (piece) => this.#index.add(piece));
  }

  /** Takes back one {@link add}. */
  delete(secret: string): void {
    this.#eachPiece(secret, (piece) => this.#index.delete(piece));
  }

  /** The text without any secret. `isCut`: something was cut off its end, perhaps in the middle of a secret. */
  clean(text: string, isCut = false): string {
    const hidden = new Uint8Array(text.length);
    let isClean = true;
    for (const view of viewsOf(text)) if (this.#hideIn(view, hidden, isCut)) isClean = false;
    return isClean ? text : withoutHidden(text, hidden);
  }

  /**
   * What a program says, cut to `most` characters (default 500) and then without any secret; withheld whole when it still has eight characters
   * in a row with one of all `secrets` in common, because drivers and parsers quote parts of what they were given.
   */
  cleanMessage(message: string, secrets: Iterable<string>, most = maxMessage): string {
    const isCut = message.length > most;
    const clean = this.clean(isCut ? cut(message, most) : message, isCut);
    const shown = unescapedViews(clean).flatMap(({ text }) => text.replaceAll(ordinary, redacted).split(redacted));
    return sharesRun(shown, stretchesOf(secrets)) ? withheld : isCut ? `${clean}…` : clean;
  }

  #hideIn({ text, from, to }: View, hidden: Uint8Array, isCut: boolean): boolean {
    let end = 0;
    for (let at = 0; at + this.#shortest <= text.length; at++) {
      const length = this.#index.longestAt(text, at, isCut);
      if (length === 0 || at + length <= end) continue;
      // What is hidden already need not be hidden again.
      hidden.fill(1, from(Math.max(at, end)), to(at + length - 1));
      end = at + length;
    }
    return end > 0;
  }

  #eachPiece(secret: string, act: (piece: string) => void): void {
    for (const part of partsOfSecret(secret)) {
      if (part.length < this.#shortest) continue;
      const bytes = asBytes(part);
      for (const form of bytes === part ? [part] : [part, bytes])
        for (let at = 0; at < form.length; at += pieceLength)
          // The last piece begins earlier rather than being too short to be found.
          act(form.slice(Math.min(at, form.length - this.#shortest), at + pieceLength));
    }
  }
}

/** Never in the middle of a character of two. */
function cut(message: string, most: number): string {
  return message.slice(0, most).replace(/[\ud800-\udbff]$/, '');
}

function* viewsOf(text: string): Generator<View> {
  for (const view of unescapedViews(text)) {
    yield view;
    yield* binaryViews(view);
  }
}

function* stretchesOf(secrets: Iterable<string>): Generator<string> {
  for (const secret of secrets) yield* confidentialStretches(secret);
}

function withoutHidden(text: string, hidden: Uint8Array): string {
  let shown = '';
  for (let at = 0; at < text.length; ) {
    const isHidden = hidden[at] === 1;
    let end = hidden.indexOf(isHidden ? 0 : 1, at);
    if (end === -1) end = text.length;
    shown += isHidden ? redacted : text.slice(at, end);
    at = end;
  }
  return shown;
}
