import type { JsonValue } from './json.ts';
import type { Path } from './paths.ts';

/** The scalar types that text from an environment is converted to. */
export type ScalarType = 'number' | 'integer' | 'boolean';

/**
 * The path that an environment name stands for: `__` nests, the rest is camelCase. `DATABASE__URL` is `database.url`,
 * `GEMINI_API_KEY` is `geminiApiKey`. `undefined` for a name without a readable part, such as `_` or `A____B`.
 */
export function pathOfName(name: string): Path | undefined {
  const path = name.split('__').map(camelCase);
  return path.every((segment) => segment !== '') ? path : undefined;
}

function camelCase(part: string): string {
  const words = part.toLowerCase().split('_').filter(Boolean);
  return words.map((word, i) => (i === 0 ? word : word[0]!.toUpperCase() + word.slice(1))).join('');
}

/** Text as the wanted type; `undefined` when it is no such value, or a number too large to be kept exactly. */
export function convert(text: string, type: ScalarType): JsonValue | undefined {
  if (type === 'boolean') return text === 'true' ? true : text === 'false' ? false : undefined;
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return undefined;
  const number = Number(text);
  // The same rule as for numbers in files.
  if (Number.isInteger(number)) return Number.isSafeInteger(number) ? number : undefined;
  return Number.isFinite(number) && type === 'number' ? number : undefined;
}
