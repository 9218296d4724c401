import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { blocks, steady } from '../support/readme.ts';
import { nobodysUid, useRunning, useShipped } from '../support/shipped.ts';
import { skipBecause } from '../support/skip.ts';

describe("the README's start, from the tarball, without root", function () {
  this.timeout(60_000);
  const shipped = useShipped();
  const run = useRunning();

  it('gives what it shows: the screen, a change in a program, a bad edit that is told', async function () {
    if (process.getuid!() !== 0) return skipBecause(this, 'only root can become another user');
    const folder = shipped().folder('newcomer');
    const session = shipped().folder('session');
    shipped().install(folder);
    for (const place of [folder, session]) execFileSync('chown', [String(nobodysUid), place]);
    const env = { PATH: process.env.PATH!, HOME: folder, XDG_RUNTIME_DIR: session };
    const options = { cwd: folder, env, uid: nobodysUid, gid: nobodysUid };
    const script = blocks('sh').find((block) => block.startsWith('npm install hotconf'))!;
    const [install, ...lines] = script.trimEnd().split('\n');
    expect([install, lines.pop()]).deep.equal(['npm install hotconf', 'npx hotconf start']);
    execFileSync('sh', ['-ec', lines.join('\n')], options);
    const hotconf = (...args: string[]) =>
      run(process.execPath, [join(folder, 'node_modules/hotconf/daemon/hotconf.cjs'), ...args], options);
    const daemon = hotconf('start');
    await daemon.says('Ctrl-C');
    const [screen] = blocks('').filter((block) => block.startsWith('hotconf serves'));
    const said = daemon.output
      .split('\n')
      .filter((line) => !line.startsWith('{'))
      .join('\n');
    // What is shown is where most sessions of a first user have it.
    expect(steady(said).replaceAll(session, '/run/user/1000').trim()).equal(screen!.trim());

    const watch = hotconf('watch');
    await watch.says('watching from revision 1');
    const [source] = blocks('js');
    writeFileSync(join(folder, 'program.mjs'), source!);
    const program = run(process.execPath, ['program.mjs'], options);
    await program.says('database db\n');
    const edit = (url: string) => writeFileSync(join(folder, 'secrets/app.yaml'), `database: { url: ${url} }\n`);
    edit('"postgres://billing:second@db-2/billing"');
    await program.says('database is now db-2');
    await watch.says('revision 2');
    edit('5');
    await watch.says(/rejected .*\n/);
    await watch.says(/stale .*\n/);
    const [shown] = blocks('').filter((block) => block.includes('revision 2  file'));
    const told = watch.output
      .split('\n')
      .filter((line) => /^\d{4}-/.test(line))
      .join('\n');
    expect(steady(told)).equal(steady(shown!.trim()));
  });
});
