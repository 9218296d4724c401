import { chmodSync, chownSync, lchownSync, mkdirSync, renameSync, symlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { expect } from 'chai';
import { hotconf, useProcesses } from '../support/daemon-process.ts';
import { layExample } from '../support/example.ts';
import { useScratch } from '../support/scratch.ts';
import { skipBecause } from '../support/skip.ts';

const stranger = 33;

describe('the command line in a folder of somebody else', function () {
  this.timeout(60_000);
  const scratch = useScratch();
  const run = useProcesses();
  const servers: Server[] = [];
  const { PATH, HOME } = process.env;
  const here = (...args: string[]) => hotconf(args, { cwd: scratch().folder, env: { PATH, HOME } });
  before(function () {
    if (process.getuid!() !== 0) skipBecause(this as Mocha.Context, 'only root can play two users');
  });
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  for (const [what, spoil] of [
    ['whose file is a stranger’s', (file: string) => chownSync(file, stranger, stranger)],
    [
      'whose file is a stranger’s link to one of root',
      (file: string) => {
        renameSync(file, `${file}.real`);
        symlinkSync(`${file}.real`, file);
        lchownSync(file, stranger, stranger);
      },
    ],
    ['which is a stranger’s', () => chownSync(scratch().folder, stranger, stranger)],
  ] as const)
    it(`believes no ./hotconf.yaml ${what}, unless it is named`, async () => {
      const file = layExample(scratch(), { environment: 'development', fileModeCheck: 'off' });
      expect((await here('validate')).code, 'of its own').equal(0);
      spoil(file);
      scratch().open();
      for (const command of [['start'], ['status'], ['validate'], ['rotate', 'db', '--generate', '20']]) {
        const { code, lastWords, stderr } = await here(...command);
        expect(code, `${command}: ${stderr}`).equal(78);
        expect(lastWords).contain(`belongs to uid ${stranger}, neither root nor root (name it with --config ${file}`);
      }
      expect((await here('validate', '--config', file)).code).equal(0);
    });

  it('shows a secret to no listener of a stranger, whoever names it', async () => {
    const file = layExample(scratch(), { environment: 'development' });
    mkdirSync(scratch().path('run'));
    let connections = 0;
    const server = createServer(() => connections++).listen(scratch().path('run/admin.sock'));
    servers.push(server);
    await new Promise((done) => server.once('listening', done));
    chownSync(scratch().path('run/admin.sock'), stranger, stranger);
    const rotate = () => here('rotate', 'db', '--generate', '20', '--config', file);
    expect(await rotate())
      .include({ code: 77 })
      .property('lastWords')
      .contain(`belongs to uid ${stranger}`);
    // Its own socket in a stranger's folder, who could put another one there.
    chownSync(scratch().path('run/admin.sock'), 0, 0);
    chownSync(scratch().path('run'), stranger, stranger);
    expect(await rotate()).include({ code: 77 });
    chownSync(scratch().path('run'), 0, 0);
    chownSync(scratch().folder, stranger, stranger);
    expect(await rotate()).include({ code: 77 });
    expect(connections).equal(0);
  });

  for (const [what, spoil] of [
    ['its group, which is not the reader’s', (file: string) => (chownSync(file, 0, stranger), chmodSync(file, 0o660))],
    ['everybody', (file: string) => chmodSync(file, 0o666)],
    ['everybody, by its folder', () => chmodSync(scratch().folder, 0o777)],
  ] as const)
    it(`takes no options file that can be written by ${what}; it warns in development`, async () => {
      const file = layExample(scratch());
      spoil(file);
      const { code, lastWords } = await here('start', '--config', file);
      expect(code, lastWords).equal(78);
      expect(lastWords).match(/can be written by others|which everybody may write to/);
      const relaxed = layExample(scratch(), {
        environment: 'development',
        runtimeDir: '/run/hc-test',
        fileModeCheck: 'off',
      });
      const doctor = await here('doctor', '--config', relaxed);
      expect(doctor.stdout).match(/^WARN {2}options file: .*(can be written by others|which everybody may write to)/m);
    });

  it('starts in its own folder without naming the options', async () => {
    layExample(scratch(), { environment: 'development' });
    await run(['start'], { cwd: scratch().folder, env: { PATH, HOME } }).ready();
    expect((await here('status')).code).equal(0);
  });
});
