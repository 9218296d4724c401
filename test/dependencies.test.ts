import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { expect } from 'chai';

const root = resolve(import.meta.dirname, '..');
const list = join(import.meta.dirname, 'fixtures/node-ipc-hashes.json');

/** node-ipc has been sabotaged and stolen from before; these files were read, and must stay what they were. */
function hashFiles(folder = join(root, 'node_modules')): Record<string, string> {
  const hashes: Record<string, string> = {};
  for (const name of ['node-ipc', 'event-pubsub', 'js-message', 'js-queue', 'easy-stack', 'strong-type']) {
    for (const entry of readdirSync(join(folder, name), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !/\.(js|json|cjs|mjs)$/.test(entry.name)) continue;
      const path = join(entry.parentPath, entry.name);
      hashes[relative(folder, path)] = createHash('sha256').update(readFileSync(path)).digest('hex');
    }
  }
  return hashes;
}

describe('dependencies', () => {
  it('56: node-ipc and what it needs are byte for byte what was read', () => {
    expect(hashFiles()).deep.equal(JSON.parse(readFileSync(list, 'utf8')));
  });

  it('are pinned exactly, and the lock file names no registry', () => {
    const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    for (const version of Object.values({ ...dependencies, ...devDependencies }))
      expect(version).match(/^\d+\.\d+\.\d+$/);
    const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
    const isOurs = (name: string, { link }: Record<string, string>) => name === '' || name === 'client' || link;
    for (const [name, entry] of Object.entries<Record<string, string>>(lock.packages)) {
      if (isOurs(name, entry)) continue;
      expect(entry.resolved, name).equal(undefined);
      expect(entry.integrity, name).match(/^sha512-/);
    }
  });
});
