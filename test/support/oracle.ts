import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import fc from 'fast-check';

const seed = Number(process.env.HOTCONF_SEED ?? Date.now() % 1_000_000_000);
const runs = process.env.HOTCONF_RUNS === undefined ? undefined : Number(process.env.HOTCONF_RUNS);

/** For the title of a suite: how to repeat it, and how to run more of it. */
export const howToRepeat = `(HOTCONF_SEED=${seed}${runs === undefined ? '' : `, HOTCONF_RUNS=${runs}`})`;

/** Checks a property with the seed of this run, `usual` times or as often as `HOTCONF_RUNS` says. */
export function check<T>(property: fc.IProperty<T>, usual: number): void {
  fc.assert(property, { seed, numRuns: runs ?? usual });
}

/** What a function gives, or `refused` with the error's code or name. */
export function outcome<T>(act: () => T): { readonly value: T } | { readonly refused: string } {
  try {
    return { value: act() };
  } catch (error) {
    const { code, name } = error as { code?: string; name: string };
    return { refused: code ?? name };
  }
}

/** How long a suite's tests may take, in milliseconds: more runs need more time. */
export const timeoutMs = 20_000 + (runs ?? 0) * 50;

/** The guide that lists the intended differences. */
export const guide = readFileSync(resolve(import.meta.dirname, '../../config/README.md'), 'utf8');

/** A document as the guide shows it. */
export function shown(document: string): string {
  return `\`${document.replaceAll('\n', '⏎').replaceAll('\t', '\\t')}\``;
}
