import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { expect } from 'chai';
import { skipBecause } from './support/skip.ts';

const root = resolve(import.meta.dirname, '..');
const listOf = (name: string) => JSON.parse(readFileSync(join(import.meta.dirname, `fixtures/${name}`), 'utf8'));

/** node-ipc has been sabotaged and stolen from before; these files were read, and must stay what they were. */
const ofNodeIpc = ['node-ipc', 'event-pubsub', 'js-message', 'js-queue', 'easy-stack', 'strong-type'];

/** SHA-256 of the code in packages, native code included. */
function hashFiles(packages: readonly string[], folder = join(root, 'node_modules')): Record<string, string> {
  const hashes: Record<string, string> = {};
  for (const name of packages) {
    for (const entry of readdirSync(join(folder, name), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !/\.(js|json|cjs|mjs|node)$/.test(entry.name)) continue;
      const path = join(entry.parentPath, entry.name);
      hashes[relative(folder, path)] = createHash('sha256').update(readFileSync(path)).digest('hex');
    }
  }
  return hashes;
}

describe('dependencies', () => {
  it('56: node-ipc and what it needs are byte for byte what was read', () => {
    expect(hashFiles(ofNodeIpc)).deep.equal(listOf('node-ipc-hashes.json'));
  });

  it('56: koffi, whose native code may do all that the process may, is byte for byte what was installed first', function () {
    const native = `@koromix/koffi-${process.platform}-${process.arch}`;
    if (!existsSync(join(root, 'node_modules', native))) return skipBecause(this, 'there is no koffi');
    const known = Object.entries<string>(listOf('koffi-hashes.json'));
    const expected = known.filter(([file]) => file.startsWith('koffi/') || file.startsWith(`${native}/`));
    expect(Object.fromEntries(expected), 'no hashes of this platform').property(`${native}/package.json`);
    expect(hashFiles(['koffi', native])).deep.equal(Object.fromEntries(expected));
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
