import { execFileSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';

// Makes what is published: `client/dist` is the client, for Node 20 and newer, as one file, with types for both kinds of
// module; `dist` is the daemon. Packages stay outside the bundles, so that it can be seen and hashed what runs.

const root = resolve(import.meta.dirname, '..');
const client = join(root, 'client/dist');
const run = (command: string, ...args: readonly string[]) =>
  execFileSync(join(root, 'node_modules/.bin', command), args, { cwd: root, stdio: 'inherit' });
const bundled = ['--bundle', '--packages=external', '--platform=node', '--log-level=warning'];

for (const folder of ['dist', 'client/dist']) rmSync(join(root, folder), { recursive: true, force: true });

run('esbuild', 'client/index.ts', ...bundled, '--target=node20', '--format=cjs', '--outfile=client/dist/index.cjs');
// One copy of the code for both, or a program of both kinds would have two connections.
const names = Object.keys(createRequire(import.meta.url)(join(client, 'index.cjs'))).sort();
const module = `import client from './index.cjs';\n\nexport const { ${names.join(', ')} } = client;\n`;
writeFileSync(join(client, 'index.js'), module);

run('tsc', '-p', 'tsconfig.build.json');
removeUnused(join(client, 'types'), join(client, 'types/client/index.d.ts'));
// The same declarations: which kind of module they are of is said by the package.json next to them.
cpSync(join(client, 'types'), join(client, 'cjs-types'), { recursive: true });
writeFileSync(join(client, 'cjs-types/package.json'), '{ "type": "commonjs" }\n');
cpSync(join(root, 'LICENSE'), join(root, 'client/LICENSE'));

const daemon = ['main', 'sources/parse-worker', 'reload/validate-worker'].map((name) => `daemon/${name}.ts`);
const places = ['--outbase=.', '--outdir=dist', '--chunk-names=daemon/[name]-[hash]'];
run('esbuild', ...daemon, ...bundled, '--splitting', '--target=node22', '--format=esm', ...places);

/** Declarations of what only the code inside uses say nothing to anybody. */
function removeUnused(folder: string, entry: string): void {
  const used = new Set([entry]);
  for (const file of used)
    for (const [, path] of readFileSync(file, 'utf8').matchAll(/(?:from |import\()['"](\.[^'"]+)\.ts['"]/g))
      used.add(`${resolve(dirname(file), path!)}.d.ts`);
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const file = join(folder, name);
    if (file.endsWith('.d.ts') && !used.has(file)) rmSync(file);
  }
}
