import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { runCommand } from '../../../daemon/ops/run-command.ts';
import { useScratch } from '../../support/scratch.ts';
import { until } from '../../support/until.ts';

const read = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : '');

describe('a command that is run', () => {
  const scratch = useScratch();
  const run = (command: string[], withinMs = 10_000, signal = new AbortController().signal) =>
    runCommand(command, { env: { SAID: 'hello' }, withinMs, signal });

  it('tells how it ended', async () => {
    expect(await run(['/bin/sh', '-c', 'test "$SAID" = hello'])).deep.equal({ how: 'exit 0', isSuccess: true });
    expect(await run(['/bin/sh', '-c', 'exit 3'])).deep.equal({ how: 'exit 3', isSuccess: false });
    expect(await run(['/bin/sh', '-c', 'kill -9 $$'])).deep.equal({ how: 'SIGKILL', isSuccess: false });
    expect(await run(['/nothing/there'])).deep.equal({ how: 'ENOENT', isSuccess: false });
  });

  it('is ended after its time, and when the daemon stops', async () => {
    expect(await run(['/bin/sleep', '60'], 50)).include({ isSuccess: false });
    const stop = new AbortController();
    const running = run(['/bin/sleep', '60'], 60_000, stop.signal);
    stop.abort();
    expect(await running).include({ isSuccess: false });
  });

  it('gets of the environment nothing but PATH, HOME, LANG and what is about hotconf', async () => {
    process.env.APP_TOP_SECRET = 'not for children';
    process.env.HOTCONF_ENV = 'test';
    try {
      const only = '! env | grep -vE "^(PATH|HOME|LANG|SAID|PWD|SHLVL|_|OLDPWD|HOTCONF_[A-Z_]+)="';
      expect(await run(['/bin/sh', '-c', `${only} && test "$HOTCONF_ENV" = test && test -n "$PATH"`])).include({
        how: 'exit 0',
      });
    } finally {
      delete process.env.APP_TOP_SECRET;
      delete process.env.HOTCONF_ENV;
    }
  });

  it('is ended with all that it has started, also what ignores that', async () => {
    const file = scratch().path('child');
    const script = `trap '' TERM; sleep 300 & echo $! > ${file}.tmp; mv ${file}.tmp ${file}; wait`;
    const stop = new AbortController();
    const running = run(['/bin/sh', '-c', script], 60_000, stop.signal);
    await until('it has a child', () => existsSync(file));
    const pid = Number(readFileSync(file, 'utf8'));
    stop.abort();
    expect(await running).deep.equal({ how: 'SIGKILL', isSuccess: false });
    const isAlive = () => !/^State:\s+Z/m.test(read(`/proc/${pid}/status`)) && existsSync(`/proc/${pid}`);
    await until('its child is gone', () => !isAlive());
  });

  it('that could not be started keeps no process alive', () => {
    const file = join(import.meta.dirname, '../../../daemon/ops/run-command.ts');
    const program = `
      import { runCommand } from ${JSON.stringify(file)};
      await runCommand(['/nothing/there'], { env: {}, withinMs: 600_000, signal: new AbortController().signal });
    `;
    const args = ['--input-type=module', '--eval', program];
    expect(spawnSync(process.execPath, args, { timeout: 15_000, stdio: 'ignore' })).include({
      status: 0,
      signal: null,
    });
  });
});
