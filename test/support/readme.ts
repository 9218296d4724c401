import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '../..');
export const readme = readFileSync(join(root, 'README.md'), 'utf8');

/** The fenced blocks of a language in the README, in order. */
export function blocks(language: string): string[] {
  const found: string[] = [];
  let open: { language: string; lines: string[] } | undefined;
  for (const line of readme.split('\n')) {
    if (!line.startsWith('```')) open?.lines.push(line);
    else if (!open) open = { language: line.slice(3), lines: [] };
    else {
      if (open.language === language) found.push(`${open.lines.join('\n')}\n`);
      open = undefined;
    }
  }
  return found;
}

/** Times, ages, durations and process ids differ from run to run; all else must not. */
export function steady(text: string): string {
  return text
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, 'TIME')
    .replace(/\d+(\.\d+)? (ms|s|m)\b/g, 'AGE')
    .replace(/(pid|uid) \d+/g, '$1 N');
}
