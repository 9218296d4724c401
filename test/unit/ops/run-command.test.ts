import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'chai';
import { runCommand } from '../../../daemon/ops/run-command.ts';

describe('a command that is run', () => {
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
