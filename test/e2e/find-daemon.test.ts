import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { connect } from '../../client/connect.ts';
import { hotconf, useProcesses } from '../support/daemon-process.ts';
import { layExample } from '../support/example.ts';
import { useScratch } from '../support/scratch.ts';
import type { App } from '../support/use-daemon.ts';

const client = join(import.meta.dirname, '../../client/connect.ts');
const program = `import { connect } from ${JSON.stringify(client)};
const config = await connect({ keepAlive: false, timeoutMs: 5000 });
console.log(config.settings.database.url);`;

describe('a program and the command find the daemon', () => {
  const scratch = useScratch();
  const run = useProcesses();

  it('in ./.hotconf of their project, also from a folder below it', async () => {
    const file = layExample(scratch(), { runtimeDir: './.hotconf' });
    scratch().write('package.json', '{}');
    mkdirSync(scratch().path('src/deep'), { recursive: true });
    await run(['start', '--config', file]).ready();
    const cwd = scratch().path('src/deep');
    const { PATH, HOME } = process.env;
    const found = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
      cwd,
      env: { PATH, HOME },
    });
    expect(found.stdout).equal('value-0\n');
    expect((await hotconf(['get', 'database.url', '--reveal'], { cwd, env: { PATH, HOME } })).stdout).equal(
      'value-0\n',
    );
  });

  it('or fail at once where the time limit or the path of the socket cannot be', async () => {
    const socket = scratch().path('none.sock');
    for (const timeoutMs of [0, -1, Number.NaN, 2 ** 31])
      expect(await connect<App>({ socket, timeoutMs }).catch((error) => error), String(timeoutMs)).include({
        code: 'usage',
      });
    const long = `/tmp/${'x'.repeat(108)}.sock`;
    const error = await connect<App>({ socket: long, timeoutMs: 1_000 }).catch((thrown) => thrown);
    expect(error).include({ code: 'usage' }).property('message').contain('bytes');
  });

  it('and wait for a daemon that starts later, with timeoutMs: Infinity', async () => {
    const file = layExample(scratch());
    const connecting = connect<App>({
      socket: scratch().path('run/default.sock'),
      timeoutMs: Number.POSITIVE_INFINITY,
    });
    await run(['start', '--config', file]).ready();
    const config = await connecting;
    expect(config.settings.database.url).equal('value-0');
    await config.close();
  });
});
