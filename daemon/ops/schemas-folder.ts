import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** The folder of the JSON Schemas: two up from here in the source tree, three up in the built one. */
export function schemasFolder(): string {
  const folders = ['../../schemas', '../../../schemas'].map((path) => join(import.meta.dirname, path));
  return folders.find((folder) => existsSync(join(folder, 'wire.schema.json'))) ?? folders[0]!;
}
