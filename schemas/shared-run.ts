/** So many characters in a row are no coincidence. */
export const runLength = 8;

const factor = 0x01000193;
const factorOfOldest = Array.from({ length: runLength }).reduce<number>((power) => Math.imul(power, factor), 1);

/**
 * Whether any of the texts has eight characters in a row with one of the secrets in common. Linear in the length of
 * both: a rolling hash (Karp and Rabin, 1987), and a look at the characters where it agrees.
 */
export function sharesRun(texts: readonly string[], secrets: Iterable<string>): boolean {
  let runs: Runs | undefined;
  for (const secret of secrets) {
    if (secret.length < runLength) continue;
    runs ??= runsOf(texts);
    const { filter, all } = runs;
    if (all.size === 0) return false;
    if (eachRun(secret, (hash, end) => filter[hash] === 1 && all.has(secret.slice(end - runLength, end)))) return true;
  }
  return false;
}

interface Runs {
  /** By hash. */
  readonly filter: Uint8Array;
  readonly all: ReadonlySet<string>;
}

function runsOf(texts: readonly string[]): Runs {
  const filter = new Uint8Array(2 ** 16);
  const all = new Set<string>();
  for (const text of texts)
    eachRun(text, (hash, end) => {
      filter[hash] = 1;
      all.add(text.slice(end - runLength, end));
      return false;
    });
  return { filter, all };
}

/** Calls with the hash and the end of each run until that returns true. */
function eachRun(text: string, isFound: (hash: number, end: number) => boolean): boolean {
  let hash = 0;
  for (let i = 0; i < text.length; i++) {
    hash = (Math.imul(hash, factor) + text.charCodeAt(i)) | 0;
    if (i >= runLength) hash = (hash - Math.imul(text.charCodeAt(i - runLength), factorOfOldest)) | 0;
    if (i >= runLength - 1 && isFound(hash >>> 16, i + 1)) return true;
  }
  return false;
}
