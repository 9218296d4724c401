/** What follows one beginning: a text, a few of them, or a branch once there are more. */
type Bucket = string | string[] | Branch;

/** Texts by their next few characters; those that end sooner are counted by themselves. */
interface Branch {
  readonly next: Map<string, Bucket>;
  readonly short: Map<string, number>;
}

const maxListed = 8;
/** Beginnings are counted by hash, so that one look rules out most places of a text. */
const filterSize = 2 ** 14;

const newBranch = (): Branch => ({ next: new Map(), short: new Map() });

/**
 * Finds which of many texts stands at a place in another text. A tree that takes several characters at a step, so that a
 * search costs the length of what it matches, however many texts have a common beginning.
 */
export class TextIndex {
  /** The least length of a text. */
  readonly #stride: number;
  readonly #root = newBranch();
  readonly #filter = new Uint32Array(filterSize);

  /** `minLength` is at least 3. */
  constructor(minLength: number) {
    this.#stride = minLength;
  }

  /** Adds a text of at least the least length. A text may be added several times. */
  add(text: string): void {
    this.#filter[hashAt(text, 0)]!++;
    this.#addTo(this.#root, text);
  }

  /** Takes back one {@link add} of this very text. */
  delete(text: string): void {
    this.#filter[hashAt(text, 0)]!--;
    this.#removeFrom(this.#root, text);
  }

  /**
   * The length of the longest added text that stands at this place; 0 where none does. `isCut`: a text that may go on behind the
   * end counts as well, up to the end.
   */
  longestAt(text: string, at: number, isCut = false): number {
    if (this.#filter[hashAt(text, at)] === 0) return 0;
    let branch = this.#root;
    let longest = 0;
    for (let end = at; ; ) {
      longest = Math.max(longest, this.#shortAt(branch, text, end, at));
      const bucket = branch.next.get(text.slice(end, end + this.#stride));
      if (isCut && end > at && text.length - end < this.#stride) return text.length - at;
      if (bucket === undefined) return longest;
      end += this.#stride;
      if (typeof bucket === 'string' || Array.isArray(bucket)) {
        for (const rest of typeof bucket === 'string' ? [bucket] : bucket) {
          if (text.startsWith(rest, end)) longest = Math.max(longest, end + rest.length - at);
          else if (isCut && rest.startsWith(text.slice(end))) return text.length - at;
        }
        return longest;
      }
      branch = bucket;
    }
  }

  #shortAt({ short }: Branch, text: string, end: number, at: number): number {
    if (short.size > 0)
      for (let length = this.#stride - 1; length >= 0; length--)
        if (end + length <= text.length && short.has(text.slice(end, end + length))) return end + length - at;
    return 0;
  }

  #addTo(branch: Branch, text: string): void {
    if (text.length < this.#stride) {
      branch.short.set(text, (branch.short.get(text) ?? 0) + 1);
      return;
    }
    const [start, rest] = [text.slice(0, this.#stride), text.slice(this.#stride)];
    const bucket = branch.next.get(start);
    if (bucket === undefined) branch.next.set(start, rest);
    else if (typeof bucket === 'string') branch.next.set(start, [bucket, rest]);
    else if (!Array.isArray(bucket)) this.#addTo(bucket, rest);
    else if (bucket.length < maxListed) bucket.push(rest);
    else {
      const crowded = newBranch();
      for (const one of [...bucket, rest]) this.#addTo(crowded, one);
      branch.next.set(start, crowded);
    }
  }

  /** True when the branch is empty now. */
  #removeFrom(branch: Branch, text: string): boolean {
    if (text.length < this.#stride) {
      const count = (branch.short.get(text) ?? 0) - 1;
      if (count > 0) branch.short.set(text, count);
      else branch.short.delete(text);
    } else {
      const [start, rest] = [text.slice(0, this.#stride), text.slice(this.#stride)];
      const bucket = branch.next.get(start);
      if (bucket !== undefined && this.#isEmptied(bucket, rest)) branch.next.delete(start);
    }
    return branch.next.size === 0 && branch.short.size === 0;
  }

  #isEmptied(bucket: Bucket, rest: string): boolean {
    if (typeof bucket === 'string') return true;
    if (!Array.isArray(bucket)) return this.#removeFrom(bucket, rest);
    bucket.splice(bucket.indexOf(rest), 1);
    return bucket.length === 0;
  }
}

/** Of the first three characters. */
function hashAt(text: string, at: number): number {
  return (text.charCodeAt(at) ^ (text.charCodeAt(at + 1) << 4) ^ (text.charCodeAt(at + 2) << 8)) & (filterSize - 1);
}
