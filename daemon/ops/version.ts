import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { schemasFolder } from './schemas-folder.ts';

/** The version in package.json. */
export function readVersion(): string {
  return JSON.parse(readFileSync(join(schemasFolder(), '../package.json'), 'utf8')).version;
}
