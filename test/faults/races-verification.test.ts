import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { setImmediate as tick } from 'node:timers/promises';
import { expect } from 'chai';
import type { Verify } from '../../client/types.ts';
import { runCommandLine } from '../../daemon/commands/command-line.ts';
import type { VerifyFrame } from '../../schemas/wire.ts';
import { fastClock } from '../support/fast-clock.ts';
import { MemoryStream } from '../support/memory-stream.ts';
import { RawProgram } from '../support/raw-program.ts';
import { until } from '../support/until.ts';
import { type App, useDaemon } from '../support/use-daemon.ts';

describe('interleavings of verifications', () => {
  const test = useDaemon();
  const edit = (url: string) => test().scratch.write('secrets/app.yaml', `database: { url: ${url} }\n`);
  const editMore = (key: string) => test().scratch.write('secrets/llm.yaml', `llm: { key: ${key} }\n`);
  const status = () => test().daemon!.reports.status();
  const start = async (rollout: object = {}) => {
    test().options.rollout = rollout;
    edit('url-1');
    editMore('key-1');
    await test().start();
  };
  const keep = () => {
    test().options.lastKnownGood = { keyFile: './lkg.key' };
    test().scratch.write('lkg.key', `${randomBytes(32).toString('base64')}\n`);
  };
  const refusesBad: Verify<App> = ({ database }) => {
    if (database.url.startsWith('bad')) throw new Error('not with that');
  };

  it('a restart serves nobody what a program had refused, and asks it again', async () => {
    keep();
    await start();
    const heard: string[] = [];
    const plain = await test().connect({ name: 'plain' });
    plain.on('change', ({ settings }) => heard.push(settings.database.url));
    await test().connect({ name: 'strict', verify: refusesBad });
    edit('bad-url');
    await until('it is refused', () => status().held.length === 1);
    await test().daemon!.stop();
    await test().start();
    await until('the start has asked it again', () => test().logged('config_reload_failed').length > 1);
    expect(test().logged('config_reload_failed').at(-1)!.message).contain('strict');
    await until('both are back', () => status().subscribers.length === 2);
    expect(heard.concat(plain.settings.database.url)).not.include('bad-url');
    edit('url-2');
    await until('what is good goes on', () => plain.settings.database.url === 'url-2');
  });

  /** A program `raw` refuses an edit while it says that it runs this revision, and its connection is lost. */
  const refuseAndLeave = async (revision: number) => {
    const raw = new RawProgram(test().socket).hello({ name: 'raw', capabilities: ['verify'] });
    raw.send('ack', { nonce: (await raw.next<{ nonce: string }>('snapshot')).nonce, revision: 1, applyMs: 0 });
    edit('url-2');
    const { nonce } = await raw.next<VerifyFrame>('verify');
    raw.send('nack', { nonce, revision, code: 'x', paths: [], message: 'no' });
    await until('it is refused', () => status().held.length === 1);
    raw.socket.destroy();
  };

  it('a restart without a last known good serves what the sources say, though a program that refused it is away', async () => {
    await start();
    const plain = await test().connect({ name: 'plain' });
    await refuseAndLeave(1);
    await test().daemon!.stop();
    await test().start();
    await until('it is served', () => plain.settings.database.url === 'url-2');
  });

  it('what changed while the daemon was away waits for the programs that were there', async () => {
    keep();
    await start();
    const plain = await test().connect({ name: 'plain' });
    await test().connect({ name: 'strict', verify: refusesBad });
    await test().daemon!.stop();
    edit('bad-url');
    await test().start();
    await until('it is refused', () => status().held.length === 1);
    expect(plain.settings.database.url).equal('url-1');
  });

  it('a program that was refusing and does not come back holds up a start for a few seconds, and a change for two tries', async function () {
    this.timeout(40_000);
    keep();
    await start();
    const plain = await test().connect({ name: 'plain' });
    await refuseAndLeave(2);
    await test().daemon!.stop();
    await test().start();
    expect(plain.settings.database.url).equal('url-1');
    await until('its absence is said', () => /raw .*not connected now/.test(JSON.stringify(status().held)));
    editMore('key-2');
    await until('another change passes', () => plain.settings.llm.key === 'key-2');
    expect(plain.settings.database.url).equal('url-1');
    await until('its turn is over', () => plain.settings.database.url === 'url-2', 20_000);
  });

  describe('with a frozen program', () => {
    let program: ChildProcess;
    afterEach(() => program.kill('SIGKILL'));

    it('a change is tried again until it has lost its vote, and goes to the others; it has its vote again when it answers', async function () {
      this.timeout(60_000);
      test().clock = fastClock(5);
      await start({ verifyTimeout: '3s' });
      const plain = await test().connect({ name: 'plain' });
      const file = resolve(import.meta.dirname, '../fixtures/programs.ts');
      const args = ['--disable-warning=ExperimentalWarning', file, test().socket, '1', 'frozen', 'verify'];
      program = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
      const frozen = () => status().subscribers.find(({ name }) => name === 'frozen-0');
      await until('it is there', () => frozen()?.state === 'current');
      program.kill('SIGSTOP');
      edit('url-2');
      await until('it is refused', () => test().logged('config_reload_failed').length === 1);
      await until('it has lost its vote', () => test().logged('subscriber_vote_lost').length === 1);
      await until('the change is there', () => plain.settings.database.url === 'url-2');
      expect(status().state.reasons.join()).contain('frozen');
      editMore('key-2');
      await until('the next change does not wait', () => plain.settings.llm.key === 'key-2');
      program.kill('SIGCONT');
      await until('it has its vote again, or has come back', () => !status().state.reasons.join().includes('frozen'));
      await until('it is current', () => frozen()?.state === 'current');
    });
  });

  it('a dry run beside a reload makes no good candidate fail: programs try one thing at a time, the same content once', async () => {
    await start({ verifyTimeout: '600ms' });
    const tried: string[] = [];
    const config = await test().connect({
      verify: async ({ database }, signal) => {
        if (database.url === 'url-1') return;
        tried.push(database.url);
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, 400);
          signal.addEventListener('abort', () => clearTimeout(timer));
        });
      },
    });
    edit('url-2');
    await until('it is tried', () => tried.length === 1);
    const io = { stdout: new MemoryStream(), stderr: new MemoryStream(), env: {} };
    const line = ['reload', '--dry-run', '--json', '--config', test().scratch.path('hotconf.yaml')];
    expect(await runCommandLine(line, io as never)).equal(0);
    await until('it is there', () => config.settings.database.url === 'url-2');
    expect(test().logged('config_reload_failed')).deep.equal([]);
    expect(tried).deep.equal(['url-2']);
  });

  it('a stop at any moment of a start leaves no socket behind and serves nobody', async function () {
    this.timeout(60_000);
    keep();
    await start();
    await test().stop();
    edit('url-2');
    for (const ticks of [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89]) {
      const starting = test()
        .start()
        .then(
          () => 'started',
          ({ code }) => code,
        );
      const { daemon } = test();
      for (let i = 0; i < ticks; i++) await tick();
      await daemon!.stop();
      expect(await starting).oneOf(['started', 'shutting_down']);
      const run = test().scratch.path('run');
      const sockets = existsSync(run) ? readdirSync(run).filter((name) => name.endsWith('.sock')) : [];
      expect(sockets, `after ${ticks} turns`).deep.equal([]);
    }
    expect(test().logged('stop_failed')).deep.equal([]);
  });
});
