import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { useShipped } from '../support/shipped.ts';
import { skipBecause } from '../support/skip.ts';

const root = resolve(import.meta.dirname, '../..');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

describe('the hotconf command as an executable file', function () {
  this.timeout(60_000);
  const shipped = useShipped();

  it('is executable in git, so that `npm start` works in a clone', function () {
    if (!existsSync(join(root, '.git'))) return skipBecause(this, 'this is no git checkout');
    const listed = execFileSync('git', ['ls-files', '-s', manifest.bin.hotconf], { cwd: root, encoding: 'utf8' });
    expect(listed).match(/^100755 /);
  });

  it('is executable in the tarball, and runs through the link that npm makes to it', () => {
    const listed = execFileSync('tar', ['tvzf', shipped().tarballs.hotconf, `package/${manifest.bin.hotconf}`]);
    expect(String(listed)).match(/^-rwxr-xr-x /);
    const folder = shipped().folder('executable');
    shipped().install(folder);
    const bin = join(folder, 'node_modules/.bin');
    mkdirSync(bin, { recursive: true });
    // What npm does besides unpacking; it sets no mode that the tarball lacks here.
    symlinkSync(join('../hotconf', manifest.bin.hotconf), join(bin, 'hotconf'));
    const { stdout, status } = spawnSync(join(bin, 'hotconf'), ['--version'], { encoding: 'utf8' });
    expect({ stdout, status }).deep.equal({ stdout: `${manifest.version}\n`, status: 0 });
  });

  it('runs in the checkout through the link that `npm ci` leaves', () => {
    const { stdout, status } = spawnSync(join(root, 'node_modules/.bin/hotconf'), ['--version'], { encoding: 'utf8' });
    expect({ stdout, status }).deep.equal({ stdout: `${manifest.version}\n`, status: 0 });
  });
});
