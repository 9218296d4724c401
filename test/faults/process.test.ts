import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { connect } from '../../client/connect.ts';
import type { Config } from '../../client/types.ts';
import { askHttp } from '../support/admin-http.ts';
import { readSocket } from '../support/ask-socket.ts';
import { canary, expectNoCanary } from '../support/canary.ts';
import { hotconf, main, nodeFlags, useProcesses } from '../support/daemon-process.ts';
import { layExample } from '../support/example.ts';
import { RawProgram } from '../support/raw-program.ts';
import { useScratch } from '../support/scratch.ts';
import { skipBecause } from '../support/skip.ts';
import { quietFor, until } from '../support/until.ts';
import type { App } from '../support/use-daemon.ts';

describe('faults of the daemon as a process', () => {
  const scratch = useScratch();
  const run = useProcesses();
  const configs: Config<App>[] = [];
  const program = async (name = 'program', daemonUid?: number) => {
    const config = await connect<App>({
      socket: scratch().path('run/default.sock'),
      name,
      ...(daemonUid !== undefined && { daemonUid }),
    });
    configs.push(config);
    return config;
  };
  const edit = (url: string) => scratch().write('secrets/app.yaml', `database: { url: ${url} }\n`);
  const start = () => run(['start', '--config', layExample(scratch())]);

  afterEach(() => Promise.all(configs.splice(0).map((config) => config.close())));

  it('is started here with the flags that the command gives', () => {
    const launcher = readFileSync(new URL('../../daemon/hotconf.cjs', import.meta.url), 'utf8');
    const [, list] = /var flags = \[([^\]]*)\]/.exec(launcher)!;
    expect([...list!.matchAll(/'(--[^']+)'/g)].map(([, flag]) => flag)).deep.equal(nodeFlags);
  });

  it('3: drains on SIGTERM: says goodbye, takes its sockets away, exits 0', async () => {
    const daemon = await start().ready();
    const config = await program();
    expect(await daemon.kill('SIGTERM')).equal(0);
    await until('the program knows', () => config.link.kind === 'stale');
    expect(existsSync(scratch().path('run/default.sock'))).equal(false);
    expect(existsSync(scratch().path('run/admin.sock'))).equal(false);
    expect(daemon.logged('daemon_stopping')).length(1);
  });

  it('3: with 90 programs and unsent data, all are drained or told goodbye, and it exits 0 in time', async () => {
    scratch().write('secrets/big.json', JSON.stringify({ extra: 'x'.repeat(300_000) }));
    const daemon = await start().ready();
    const raws = Array.from({ length: 90 }, () => new RawProgram(scratch().path('run/default.sock')));
    await Promise.all(raws.map((raw) => raw.hello().next('snapshot')));
    // A third of them does not read any more: what they are sent stays in the daemon.
    for (const [i, { socket }] of raws.entries()) if (i % 3 === 0) socket.pause();
    scratch().write('secrets/big.json', JSON.stringify({ extra: 'y'.repeat(300_000) }));
    await until('it is committed', () => daemon.logged('config_reload_completed').length === 2);
    daemon.child.kill('SIGTERM');
    const ended = await Promise.race([daemon.ended(), quietFor(10_000).then(() => 'too late')]);
    expect(ended).equal(0);
    const reading = raws.filter((_, i) => i % 3 !== 0);
    await until('all that read were told', () => reading.every((raw) => raw.of('goodbye').length === 1));
    for (const { socket } of raws) socket.destroy();
  });

  it('4: exits at once on a second SIGTERM', async () => {
    const daemon = await start().ready();
    // A program that does not take its goodbye would hold a clean stop up for two seconds.
    const stuck = spawn(process.execPath, [
      '-e',
      `require('net').connect(${JSON.stringify(scratch().path('run/default.sock'))}).on('connect',()=>{console.log('on')}).pause(); setInterval(()=>{},1e3)`,
    ]);
    await once(stuck.stdout, 'data');
    stuck.kill('SIGSTOP');
    daemon.child.kill('SIGTERM');
    await until('it is stopping', () => daemon.logged('daemon_stopping').length === 1);
    daemon.child.kill('SIGTERM');
    expect(await daemon.ended()).equal(143);
    stuck.kill('SIGKILL');
  });

  it('5: reloads on SIGHUP, and once more for a storm of them during it', async () => {
    // No event starts a reload beside those.
    const options = { reload: { quiet: '30s', maxWait: '40s', startWait: '0s' } };
    const daemon = await run(['start', '--config', layExample(scratch(), options)]).ready();
    const gate = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const socket = scratch().path('run/default.sock');
    const verify = ({ database }: App) => {
      if (database.url !== 'postgres://second') return;
      asked.resolve();
      return gate.promise;
    };
    configs.push(await connect<App>({ socket, verify }));
    const before = daemon.logged('config_reload_started').length;
    edit('postgres://second');
    daemon.child.kill('SIGHUP');
    await asked.promise;
    for (let i = 0; i < 200; i++) daemon.child.kill('SIGHUP');
    // It has read them all once it answers this.
    await readSocket(scratch().path('run/admin.sock'), '/livez');
    gate.resolve();
    await until('both have ended', () => daemon.logged('config_reload_completed').length >= 2);
    await daemon.kill('SIGTERM');
    expect(daemon.logged('config_reload_started').length - before).equal(2);
  });

  describe('on a terminal', () => {
    let terminal: ChildProcess;
    let pid: number;
    afterEach(() => {
      terminal.kill('SIGKILL');
      if (isAlive()) process.kill(pid, 'SIGKILL');
    });
    const typed = () => scratch().read('typescript');
    const isAlive = () => existsSync(`/proc/${pid}`);
    const reloads = (log: string) => scratch().read(log).split('"trigger":"signal"').length - 1;
    /** The process that the daemon was started by: the shell, which leads the terminal's session. */
    const shell = () => Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);

    /** Opens a terminal with a shell on it, and starts the daemon there. */
    const startAt = async (context: Mocha.Context, before = '', after = '') => {
      const file = layExample(scratch(), { log: { level: 'debug', format: 'json' } });
      const command = [process.execPath, ...nodeFlags, main, 'start', '--config', file].join(' ');
      const args = ['-qfc', 'exec bash --norc -i', scratch().path('typescript')];
      const cwd = scratch().folder;
      const env = { ...process.env, HISTFILE: '/dev/null' };
      terminal = spawn('script', args, { stdio: ['pipe', 'ignore', 'ignore'], cwd, env });
      terminal.on('error', () => {});
      if (terminal.pid === undefined) return skipBecause(context, 'script(1) is not installed');
      terminal.stdin!.write(`${before} ${command} ${after}\n`);
      await until('it is ready', () => `${typed()}${scratch().read('nohup.out')}`.includes('"daemon_ready"'), 20_000);
      pid = JSON.parse(scratch().read('state/holder.json')).pid;
    };
    const expectCleanStop = async () => {
      await until('it has ended', () => !isAlive());
      expect(existsSync(scratch().path('run/default.sock')), 'by a clean stop').equal(false);
    };

    const hangUps: Record<string, () => void> = {
      'the terminal is closed': () => terminal.kill('SIGKILL'),
      'its shell hangs up first, and the terminal is closed after that': () => process.kill(shell(), 'SIGHUP'),
      'its shell is killed': () => process.kill(shell(), 'SIGKILL'),
      'its shell hangs up as the terminal is closed': () => {
        process.kill(shell(), 'SIGHUP');
        terminal.kill('SIGKILL');
      },
    };
    for (const [how, hangUp] of Object.entries(hangUps))
      for (const [where, after] of Object.entries({ foreground: '', background: '&' })) {
        // A shell that is killed passes nothing on; by convention its background jobs live on.
        if (how === 'its shell is killed' && where === 'background') continue;
        it(`stops when ${how}, in the ${where}, and reloads on a SIGHUP before`, async function () {
          await startAt(this, '', after);
          process.kill(pid, 'SIGHUP');
          await until('it has reloaded', () => reloads('typescript') > 0);
          hangUp();
          await expectCleanStop();
        });
      }

    it('lives on under nohup when the terminal is closed, and reloads on SIGHUP', async function () {
      await startAt(this, 'nohup', '&');
      process.kill(shell(), 'SIGHUP');
      await until('the terminal is gone', () => terminal.exitCode !== null || terminal.signalCode !== null);
      const before = reloads('nohup.out');
      process.kill(pid, 'SIGHUP');
      await until('it has reloaded', () => reloads('nohup.out') > before);
      process.kill(pid, 'SIGTERM');
      await expectCleanStop();
    });
  });

  it('goes on when something fails that nobody catches, says so without its words, and ends when it serves nothing', async () => {
    const hook = `--import=${join(import.meta.dirname, '../fixtures/fail-on-signal.mjs')}`;
    const FAILURE_TEXT = canary();
    const env = { ...process.env, NODE_OPTIONS: hook, FAILURE_TEXT };
    const file = layExample(scratch());
    const daemon = await run(['start', '--config', file], { env }).ready();
    const config = await program();
    for (const [i, kind] of ['rejection', 'exception'].entries()) {
      daemon.child.kill('SIGUSR2');
      await until('it is told', () => daemon.logged('unexpected_error').length === i + 1);
      expect(daemon.logged('unexpected_error')[i]).include({ kind, errorType: 'TypeError', code: 'EUNEXPECTED' });
    }
    edit('after');
    await until('it goes on', () => config.settings.database.url === 'after');
    const health = JSON.parse(await readSocket(scratch().path('run/admin.sock'), '/healthz'));
    expect(health).include({ status: 'degraded' }).property('reasons').contain('unexpected');
    const metrics = await readSocket(scratch().path('run/admin.sock'), '/metrics');
    expect(metrics)
      .match(/^hotconf_unexpected_errors_total 2$/m)
      .match(/^config_degraded{reason="unexpected"} 1$/m);
    await daemon.kill('SIGTERM');
    layExample(scratch(), { reload: { startWait: '1m' } });
    rmSync(scratch().path('secrets'), { recursive: true });
    const starting = run(['start', '--config', file], { env });
    await until('it waits for a source', () => starting.logged('start_waiting').length > 0);
    starting.child.kill('SIGUSR2');
    expect(await starting.ended()).equal(70);
    expect(starting.lastWords, starting.stderr).match(
      /please report it: an uncaught rejection: TypeError EUNEXPECTED, at /,
    );
    for (const { stdout, stderr } of [daemon, starting]) expectNoCanary('the output', stdout + stderr, [FAILURE_TEXT]);
  });

  it('waits for a half-written file at start without hot reload too, and says why it gives up', async () => {
    const file = layExample(scratch(), { hotReload: false });
    scratch().write('secrets/app.yaml', 'database: {');
    const daemon = run(['start', '--config', file]);
    expect(await daemon.ended()).equal(65);
    expect(daemon.lastWords).contain('app.yaml');
  });

  it('is not killed by a SIGHUP while it starts', async () => {
    const file = layExample(scratch());
    scratch().write('secrets/app.yaml', '');
    const daemon = run(['start', '--config', file]);
    await until('it has begun', () => daemon.stdout.includes('config_reload_started'));
    daemon.child.kill('SIGHUP');
    edit('in-time');
    await daemon.ready();
    expect((await program()).settings.database.url).equal('in-time');
  });

  it('6: opens no inspector on SIGUSR1', async () => {
    const daemon = await start().ready();
    daemon.child.kill('SIGUSR1');
    await quietFor(200);
    expect(daemon.isRunning).equal(true);
    expect(daemon.stderr).not.contain('Debugger');
  });

  it('7: leaves the first daemon alone when a second one starts, and says who holds the state folder', async () => {
    const daemon = await start().ready();
    const second = run(['start', '--config', scratch().path('hotconf.yaml')]);
    expect(await second.ended()).equal(75);
    expect(second.lastWords).contain(`pid ${daemon.child.pid}`);
    expect((await program()).settings.database.url).equal('value-0');
  });

  it('8: replaces the socket of a daemon that was killed, and its programs come back, however long it was away', async () => {
    const daemon = await start().ready();
    const config = await program();
    await daemon.kill('SIGKILL');
    await until('the program knows', () => config.link.kind === 'stale');
    expect(existsSync(scratch().path('run/default.sock'))).equal(true);
    edit('after-the-kill');
    // By now its attempts are seconds apart.
    await quietFor(3_000);
    await run(['start', '--config', scratch().path('hotconf.yaml')]).ready();
    await until('it is back', () => config.settings.database.url === 'after-the-kill', 2_000);
  });

  it('1: is killed 30 times under edits: programs converge, and revisions never go back within an epoch', async function () {
    // Thirty starts of a process: as long as the machine needs for them.
    this.timeout(120_000);
    scratch().write('lkg.key', `${randomBytes(32).toString('base64')}\n`);
    const file = layExample(scratch(), { lastKnownGood: { keyFile: './lkg.key' } });
    let daemon = await run(['start', '--config', file]).ready();
    const programs = await Promise.all([program('one'), program('two'), program('three')]);
    const seen = programs.map((config) => {
      const positions = [config.snapshot];
      config.on('change', (snapshot) => void positions.push(snapshot));
      return positions;
    });
    for (let i = 1; i <= 30; i++) {
      edit(`value-${i}`);
      // Anywhere from before the change is noticed until after it is delivered.
      await quietFor((i * 37) % 90);
      await daemon.kill('SIGKILL');
      daemon = await run(['start', '--config', scratch().path('hotconf.yaml')]).ready();
    }
    edit('the-end');
    await until('all have the last content', () =>
      programs.every(({ settings }) => settings.database.url === 'the-end'),
    );
    for (const positions of seen) {
      for (const [i, next] of positions.entries()) {
        const previous = positions[i - 1];
        expect(next.settings.database.url).match(/^(value-\d+|the-end)$/);
        if (previous?.epoch === next.epoch) expect(next.revision).greaterThan(previous.revision);
      }
    }
    expect(new Set(programs.map(({ snapshot }) => `${snapshot.epoch} ${snapshot.revision}`)).size).equal(1);
  });

  it('15: lives on when nobody reads its output any more', async () => {
    const daemon = await start().ready();
    daemon.child.stdout!.destroy();
    const config = await program();
    edit('with-no-reader');
    await until('it still serves', () => config.settings.database.url === 'with-no-reader');
    expect(daemon.isRunning).equal(true);
  });

  it('15: holds no more than a little when the reader of its output stalls', async () => {
    const daemon = await start().ready();
    daemon.child.stdout!.pause();
    const config = await program();
    const operator = { socketPath: scratch().path('run/admin.sock') };
    for (let i = 0; i < 300; i++) {
      // Half a kilobyte in each log line fills any pipe soon.
      const body = { reason: `${i}${'x'.repeat(490)}` };
      await askHttp(operator, '/admin/reload-config', { method: 'POST', body });
    }
    edit('with-a-stalled-reader');
    await until('it still serves', () => config.settings.database.url === 'with-a-stalled-reader');
    daemon.child.stdout!.resume();
  });

  it('23: keeps and retries a file that it may not read', async function () {
    if (process.getuid!() !== 0) return skipBecause(this, 'only root can play several users');
    layExample(scratch());
    execFileSync('chown', ['-R', '65534:65534', scratch().folder]);
    const daemon = await run(['start', '--config', scratch().path('hotconf.yaml')], { uid: 65534, gid: 65534 }).ready();
    const stranger = await program().catch((error) => error);
    expect(stranger).include({ code: 'refused' }).property('message').contain('belongs to uid 65534');
    const config = await program('program', 65534);
    const file = scratch().path('secrets/app.yaml');
    execFileSync('sh', [
      '-c',
      `echo 'database: { url: readable }' > ${file}.tmp; chmod 000 ${file}.tmp; mv ${file}.tmp ${file}`,
    ]);
    await until('it is told', () =>
      daemon.logged('config_reload_failed').some(({ code }) => code === 'source_unreadable'),
    );
    expect(config.settings.database.url).equal('value-0');
    execFileSync('chown', ['65534', file]);
    execFileSync('chmod', ['600', file]);
    await until('it is read', () => config.settings.database.url === 'readable');
  });

  it('27: polls and says so when the kernel has no more watches, and still sees every change', async function () {
    layExample(scratch());
    const wrapper = ['unshare', '-Ur', 'sh', '-c', 'echo 0 > /proc/sys/user/max_inotify_watches && exec "$@"', 'sh'];
    try {
      execFileSync('unshare', ['-Ur', 'sh', '-c', 'echo 0 > /proc/sys/user/max_inotify_watches']);
    } catch {
      return skipBecause(this, 'this machine allows no user namespace');
    }
    const daemon = await run(['start', '--config', scratch().path('hotconf.yaml')], { wrapper }).ready();
    expect(daemon.logged('watch_degraded')[0])
      .property('message')
      .match(/ENOSPC/);
    const config = await program();
    for (const url of ['polled-1', 'polled-2']) {
      edit(url);
      await until(url, () => config.settings.database.url === url, 5_000);
    }
    const { state } = JSON.parse(
      (await hotconf(['status', '--json', '--config', scratch().path('hotconf.yaml')])).stdout,
    );
    expect(state).include({ kind: 'degraded' });
    expect(state.reasons[0]).match(/polled: ENOSPC/);
    const { stdout } = await hotconf(['doctor', '--config', scratch().path('hotconf.yaml')]);
    expect(stdout).match(/^WARN {2}watch: .*files:\.\/secrets: polling, .*ENOSPC/m);
  });
});
