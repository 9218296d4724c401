import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

// Brings the oldest Nodes that the two packages name in `engines`, from npm's own packages of Node, for `test/shipped`.

const folder = resolve(import.meta.dirname, '../node_modules/.cache/nodes');
const { platform, arch } = process;
const name = `node-${platform === 'darwin' && arch === 'arm64' ? 'bin-' : ''}${platform === 'win32' ? 'win' : platform}-${arch}`;

for (const version of process.argv.slice(2)) {
  const node = join(folder, version, 'node');
  if (existsSync(node)) continue;
  const scratch = mkdtempSync(join(tmpdir(), 'hotconf-node-'));
  const inScratch = { cwd: scratch, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] } as const;
  const archive = execFileSync('npm', ['pack', '--silent', `${name}@${version}`], inScratch).trim();
  execFileSync('tar', ['xzf', archive, 'package/bin/node'], inScratch);
  mkdirSync(join(folder, version), { recursive: true });
  const copy = `${node}.${process.pid}`;
  execFileSync('cp', [join(scratch, 'package/bin/node'), copy]);
  renameSync(copy, node);
  rmSync(scratch, { recursive: true });
  console.log(`Node ${version} is at ${node}`);
}
