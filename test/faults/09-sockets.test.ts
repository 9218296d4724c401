import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { connect as connectSocket, createServer, type Server, type Socket } from 'node:net';
import { expect } from 'chai';
import type { DaemonError } from '../../daemon/model/errors.ts';
import { HotconfProcess, hotconf, useProcesses } from '../support/daemon-process.ts';
import { layExample } from '../support/example.ts';
import { fastClock } from '../support/fast-clock.ts';
import { useScratch } from '../support/scratch.ts';
import { skipBecause } from '../support/skip.ts';
import { until } from '../support/until.ts';
import { useDaemon } from '../support/use-daemon.ts';

describe('fault 9: a socket that is deleted or replaced', () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });
  const test = useDaemon();
  const edit = (url: string) => test().scratch.write('secrets/app.yaml', `database: { url: ${url} }\n`);
  const folder = () => test().scratch.path('run');

  for (const [what, take] of [
    ['deleted', () => rmSync(test().socket)],
    ['deleted with its folder', () => rmSync(folder(), { recursive: true })],
    [
      'replaced by another listener',
      () => {
        rmSync(test().socket);
        servers.push(createServer((socket) => socket.destroy()).listen(test().socket));
      },
    ],
  ] as const) {
    it(`9: that was ${what} is noticed, told and published again; who was connected stays`, async () => {
      test().clock = fastClock(5);
      await test().start();
      const config = await test().connect();
      take();
      await until('it is told', () => test().logged('socket_restored').length > 0);
      const later = await test().connect();
      edit('url-2');
      for (const program of [config, later])
        await until('it serves both', () => program.settings.database.url === 'url-2');
      expect(config.link.kind).equal('live');
      const status = await hotconf(['status', '--json', '--config', test().scratch.path('hotconf.yaml')]);
      expect(JSON.parse(status.stdout).subscribers).length(2);
    });
  }
});

describe('faults 10 and 11: where sockets cannot be', () => {
  const test = useDaemon();
  const refused = async (): Promise<DaemonError> => {
    try {
      await test().start();
    } catch (error) {
      return error as DaemonError;
    }
    return expect.fail('it started');
  };

  it('10: a path of more than 107 bytes ends a start by 78, with the length', async () => {
    test().options.runtimeDir = `./${'x'.repeat(100)}`;
    const { exitCode, message } = await refused();
    expect(exitCode).equal(78);
    expect(message).match(/needs \d+ bytes and Unix sockets have 107/);
  });

  for (const [what, spoil, words] of [
    [
      'that others may write to',
      (path: string) => (mkdirSync(path), chmodSync(path, 0o777)),
      'can be written by others',
    ],
    ['of another user', (path: string) => (mkdirSync(path), chownSync(path, 65_534, 0)), 'belongs to uid 65534'],
    ['that is a link', (path: string) => (mkdirSync(`${path}-real`), symlinkSync(`${path}-real`, path)), 'is a link'],
  ] as const) {
    it(`11: a runtime folder ${what} ends a start by 77`, async function () {
      if (process.getuid!() !== 0 && what === 'of another user')
        return skipBecause(this, 'only root can play two users');
      spoil(test().scratch.path('run'));
      const { exitCode, message } = await refused();
      expect(exitCode).equal(77);
      expect(message).contain(test().scratch.path('run')).contain(words);
    });
  }
});

describe('fault 30: a process without file descriptors to spare', () => {
  const scratch = useScratch();
  const run = useProcesses();
  let isFilling = true;
  afterEach(() => {
    isFilling = false;
  });

  it('30: refuses programs before it runs out, tells it, answers its operator, and recovers', async () => {
    const file = layExample(scratch(), { reload: { rescan: '1s', startWait: '0s' } });
    const wrapper = ['sh', '-c', 'ulimit -n 64; exec "$@"', 'sh'];
    const daemon = await run(['start', '--config', file], { wrapper }).ready();
    // One that is refused, or dropped because it says nothing, comes again: the daemon stays full for as long as is asked.
    const sockets = new Set<Socket>();
    const come = () => {
      if (!isFilling) return;
      const socket = connectSocket(scratch().path('run/default.sock'));
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        setTimeout(come, 100);
      });
    };
    for (let i = 0; i < 80; i++) come();
    await until('it is told', () => daemon.logged('subscriber_refused').length > 0);
    const status = async () => {
      const asked = new HotconfProcess(['status', '--json', '--config', file]);
      expect(await asked.ended()).equal(0);
      return JSON.parse(asked.stdout);
    };
    const { state } = await status();
    expect(state).include({ kind: 'degraded' });
    expect(state.reasons[0]).match(/programs are connected already, in all \(limits\.clients\)/);
    scratch().write('secrets/app.yaml', 'database: { url: meanwhile }\n');
    await until('sources are read', () => daemon.logged('config_reload_completed').length === 2);
    isFilling = false;
    for (const socket of sockets) socket.destroy();
    await until('it is well again', async () => (await status()).state.kind === 'ready');
  });
});

describe('fault 38: who connects', () => {
  const scratch = useScratch();
  const run = useProcesses();
  const asUser = (uid: number, gid: number, ...command: string[]) => [
    'setpriv',
    `--reuid=${uid}`,
    `--regid=${gid}`,
    '--clear-groups',
    ...command,
  ];
  /** What a program of a user and group gets from a view. */
  const see = async (view: string, uid: number, gid: number) => {
    const socket = scratch().path(`run/${view}.sock`);
    const asked = new HotconfProcess(['get', '--json', '--reveal', '--socket', socket], {
      wrapper: asUser(uid, gid),
      env: { ...process.env, HOTCONF_DAEMON_UID: '0' },
    });
    const code = await asked.ended();
    return code === 0 ? JSON.parse(asked.stdout) : `${code}: ${asked.lastWords}`;
  };
  const start = async (views: object, wrapper: string[] = []) => {
    const admin = { socket: scratch().path('operators/admin.sock') };
    const file = layExample(scratch(), { views, admin });
    scratch().write('secrets/app.yaml', 'database: { url: value-0 }\nllm: { key: key-0 }\n');
    // The kernel lets other users come as far as the sockets' folder.
    chmodSync(scratch().folder, 0o755);
    return run(['start', '--config', file], { wrapper }).ready();
  };

  before(function () {
    if (process.getuid!() !== 0) skipBecause(this as Mocha.Context, 'only root can play several users');
  });

  it('38: two users see each their own view and not the other’s, and the kernel refuses a third', async () => {
    await start({ web: { include: ['llm'], group: 20_001 }, db: { include: ['database'], group: 20_002 } });
    const [web, db] = [
      [1_001, 20_001],
      [1_002, 20_002],
    ] as const;
    expect(await see('web', ...web)).deep.equal({ llm: { key: 'key-0' } });
    expect(await see('db', ...db)).deep.equal({ database: { url: 'value-0', poolSize: 5 } });
    for (const [view, uid, gid] of [
      ['db', ...web],
      ['web', ...db],
      ['web', 1_003, 20_003],
      ['db', 1_003, 20_003],
    ] as const)
      expect(await see(view, uid, gid), `${uid} at ${view}`).match(/^77: .*may not open the socket/);
    expect(statSync(scratch().path('run/web.sock')).gid).equal(20_001);
  });

  it('38: where every user may open the socket, `allow` lets in whom the kernel says it is', async () => {
    const daemon = await start({ web: { mode: '0666', allow: { users: [1_001], groups: [20_005] } } });
    chmodSync(scratch().path('run'), 0o755);
    expect(await see('web', 1_001, 20_001)).property('database');
    expect(await see('web', 1_009, 20_005)).property('database');
    expect(await see('web', 1_002, 20_002)).match(/^77: .*the view does not allow uid 1002/);
    expect(daemon.logged('subscriber_refused')[0]).include({ uid: 1_002, errorType: 'not_allowed' });
    const named = new HotconfProcess(['status', '--json', '--config', scratch().path('hotconf.yaml')]);
    expect(await named.ended()).equal(0);
  });

  it('38: a process in another PID namespace has no number here, and is served all the same', async () => {
    // The daemon sees only the processes of its own namespace.
    const daemon = await start({ default: {} }, ['unshare', '--pid', '--fork', '--kill-child']);
    const socket = connectSocket(scratch().path('run/default.sock'));
    const hello = { protocol: 1, name: 'outside', pid: 77, library: 'raw', capabilities: [] };
    socket.write(`${JSON.stringify({ type: 'hello', data: hello })}\f`);
    await once(socket, 'data');
    await until('it is told', () => daemon.logged('subscriber_connected').length === 1);
    // As it says of itself, for show; nothing is decided by it.
    expect(daemon.logged('subscriber_connected')[0]).include({ subscriber: 'outside', pid: 77, uid: 0 });
    socket.destroy();
  });
});
