import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import type { Path } from '../../client/path-types.ts';
import { Session } from '../../daemon/serve/session.ts';
import { encodeFrame, type SnapshotFrame } from '../../schemas/wire.ts';
import { fastClock } from '../support/fast-clock.ts';
import { FrameDropper } from '../support/frame-dropper.ts';
import { fuzzFrames } from '../support/fuzz-frames.ts';
import { OtherPrograms, type ProgramsAbout } from '../support/other-programs.ts';
import { RawProgram } from '../support/raw-program.ts';
import { quietFor, until } from '../support/until.ts';
import { useDaemon } from '../support/use-daemon.ts';

describe('faults 31 to 41: programs', () => {
  const raws: RawProgram[] = [];
  const others: OtherPrograms[] = [];
  afterEach(async () => {
    for (const { socket } of raws.splice(0)) socket.destroy();
    await Promise.all(others.splice(0).map((programs) => programs.kill()));
  });
  const test = useDaemon();
  const raw = () => {
    const program = new RawProgram(test().socket);
    raws.push(program);
    return program;
  };
  const other = async (about: ProgramsAbout) => {
    const programs = await OtherPrograms.start(test().socket, about);
    others.push(programs);
    return programs;
  };
  const edit = (url: string) => test().scratch.write('secrets/app.yaml', `database: { url: ${url} }\n`);
  const client = (name: string) =>
    test()
      .daemon!.reports.clients()
      .find((who) => who.name === name);

  it('31: ten thousand reconnects fail not once, and leave nothing behind', async function () {
    this.timeout(60_000);
    await test().start();
    const hello = encodeFrame('hello', { protocol: 1, name: 'again', pid: 1, library: 'raw', capabilities: [] });
    const comeAndGo = async () => {
      const socket = connectSocket(test().socket);
      socket.write(hello);
      const [first] = await once(socket, 'data');
      expect(String(first)).match(/^\{"type":"welcome"/);
      socket.destroy();
    };
    const batch = async (count: number) => {
      for (let i = 0; i < count; i += 50) await Promise.all(Array.from({ length: 50 }, comeAndGo));
      await until('nobody is connected', () => test().daemon!.reports.clients().length === 0);
      return usedHeap();
    };
    // What the first ones need stays: compiled code, pools.
    const before = await batch(2_000);
    const after = await batch(8_000);
    expect((after - before) / 8_000, 'bytes for each').lessThan(600);
  });

  it('32: a hundred stopped programs cost little, hurt nobody, are cut off, and recover', async function () {
    this.timeout(60_000);
    test().clock = fastClock(6);
    test().scratch.write('secrets/big.json', JSON.stringify({ extra: { text: 'x'.repeat(200_000) } }));
    await test().start();
    const stopped = await other({ count: 100, name: 'stopped' });
    const config = await test().connect({ name: 'honest' });
    const before = process.memoryUsage().rss;
    stopped.freeze();
    for (let i = 0; i < 20; i++) {
      test().scratch.write('secrets/big.json', JSON.stringify({ extra: { text: `${i}`.repeat(200_000) } }));
      await until(
        `the honest one has edit ${i}`,
        () => (config.get('extra.text' as Path) as string | undefined)?.[0] === `${i}`[0],
      );
    }
    expect((process.memoryUsage().rss - before) / 1e6, 'MB more').lessThan(100);
    await until('they are cut off', () => test().daemon!.reports.clients().length === 1, 20_000);
    stopped.thaw();
    // The last edits may be committed only now.
    const areCurrent = () => stopped.revisions.every((theirs) => theirs === test().revision);
    await until('they have recovered', areCurrent, 30_000);
  });

  it('33: a frozen program with a small snapshot shows late, is cut off, and gets the whole when it is back', async function () {
    this.timeout(60_000);
    test().clock = fastClock(10);
    await test().start();
    const frozen = await other({ name: 'frozen' });
    frozen.freeze();
    edit('url-2');
    await until('it is late', () => client('frozen-0')?.state === 'late', 20_000);
    await until('it is cut off', () => client('frozen-0') === undefined, 20_000);
    frozen.thaw();
    await until('it is back', () => frozen.revisions[0] === 2, 30_000);
    await until('that is known', () => client('frozen-0')?.state === 'current' && client('frozen-0')?.revision === 2);
  });

  it('34: malformed frames from a printed seed crash nothing, and an honest program always gets its answer', async function () {
    const seconds = Number(process.env.HOTCONF_FUZZ_SECONDS ?? 4);
    const seed = Number(process.env.HOTCONF_SEED ?? Date.now() % 1_000_000);
    this.test!.title += ` (HOTCONF_SEED=${seed}, HOTCONF_FUZZ_SECONDS=${seconds})`;
    this.timeout(seconds * 1_000 + 30_000);
    await test().start();
    const config = await test().connect({ name: 'honest' });
    const until1 = performance.now() + seconds * 1_000;
    let sent = 0;
    for (const bytes of fuzzFrames(seed)) {
      if (performance.now() > until1) break;
      const program = new RawProgram(test().socket);
      program.socket.write(bytes);
      program.socket.end();
      await until('it is closed', () => program.isClosed);
      if (++sent % 50 === 0) expect((await config.summary()).revision).equal(1);
    }
    expect(sent).greaterThan(100);
    edit('url-2');
    await until('it still serves', () => config.settings.database.url === 'url-2');
    expect(test().logged('session_failed')).deep.equal([]);
  });

  it('35: connections that dribble are capped for each user, and honest programs go on', async () => {
    test().options.limits = { clientsPerUid: 40 };
    await test().start();
    const config = await test().connect({ name: 'honest' });
    const sockets = Array.from({ length: 50 }, () => connectSocket(test().socket));
    let refused = 0;
    for (const socket of sockets) {
      socket.on('data', (bytes) => {
        if (String(bytes).includes('too_many_clients')) refused++;
      });
      socket.on('error', () => {});
    }
    const dribble = setInterval(() => {
      for (const socket of sockets) if (!socket.destroyed) socket.write('{');
    }, 10);
    await until('the rest is refused', () => refused === 11);
    for (let i = 2; i < 12; i++) {
      edit(`url-${i}`);
      await until(`edit ${i}`, () => config.settings.database.url === `url-${i}`);
    }
    expect(test().daemon!.reports.status().state.reasons).deep.equal([
      `40 programs of uid ${process.getuid!()} are connected already (limits.clientsPerUid)`,
    ]);
    clearInterval(dribble);
    for (const socket of sockets) socket.destroy();
    await until('there is room again', () => test().daemon!.reports.status().state.kind === 'ready');
  });

  it('36: frames behind a refused hello are never run', async () => {
    await test().start();
    const program = raw();
    const hello = { name: 'x', pid: 0, library: '', capabilities: [] };
    program.socket.write(
      encodeFrame('hello', { ...hello, protocol: 99 }) +
        encodeFrame('hello', { ...hello, protocol: 1 }) +
        encodeFrame('request', { id: '1', kind: 'reload' }),
    );
    expect(await program.next('error')).include({ code: 'protocol_unsupported' });
    await until('it is closed', () => program.isClosed);
    expect(program.frames.map(({ type }) => type)).deep.equal(['error']);
    expect(test().logged('config_reload_started')).length(1);
  });

  for (const [how, fail] of [
    [
      'throws',
      () => {
        throw new TypeError('a bug');
      },
    ],
    ['rejects', () => Promise.reject(new TypeError('a bug'))],
  ] as const) {
    it(`37: a handler of ours that ${how} costs one session, and is told`, async () => {
      await test().start();
      const config = await test().connect({ name: 'honest' });
      const victim = raw().hello({ name: 'victim' });
      await victim.next('snapshot');
      const { receive } = Session.prototype;
      Session.prototype.receive = function (type, data) {
        return this.name === 'victim' && type === 'ping' ? (fail() as never) : receive.call(this, type, data);
      };
      try {
        victim.send('ping', { revision: 1 });
        await until('it is cut off', () => victim.isClosed);
      } finally {
        Session.prototype.receive = receive;
      }
      expect(test().logged('session_failed')).length(1);
      edit('url-2');
      await until('the others go on', () => config.settings.database.url === 'url-2');
    });
  }

  it('39: settings over the limit of a frame are rejected before the commit', async () => {
    test().options.limits = { snapshotSize: '64KiB' };
    await test().start();
    const config = await test().connect();
    test().scratch.write('secrets/big.json', JSON.stringify({ extra: 'x'.repeat(70_000) }));
    await until('it is refused', () => test().logged('config_reload_failed').length === 1);
    expect(test().logged('config_reload_failed')[0]).include({ code: 'snapshot_too_large' });
    expect(config.snapshot.revision).equal(1);
  });

  it('40: a program of another protocol is told so, and does not come back in a loop', async () => {
    await test().start();
    for (const protocol of [0, 2]) {
      const program = raw().hello({ protocol });
      expect(await program.next('error')).include({ code: 'protocol_unsupported', fatal: true });
      await until('it is closed', () => program.isClosed);
    }
    expect(
      test()
        .logged('subscriber_refused')
        .map(({ message }) => message)[0],
    ).contain('bring both to one version');
  });

  it('41: a push that is lost on the way is noticed by the next heartbeat, and sent again whole', async function () {
    this.timeout(30_000);
    test().clock = fastClock(10);
    await test().start();
    const dropper = await FrameDropper.start(test().socket, test().scratch.path('proxy.sock'), 'patch');
    const config = await test().connect({ socket: test().scratch.path('proxy.sock'), name: 'unlucky' });
    edit('url-2');
    await until('the push is lost', () => dropper.dropped === 1);
    edit('url-3');
    await until('it has the newest', () => config.settings.database.url === 'url-3', 20_000);
    await config.close();
    await dropper.stop();
  });

  for (const [what, frames, code] of [
    ['says hello twice', ['hello', 'hello'], 'hello_twice'],
    ['speaks before its hello', ['ping'], 'hello_expected'],
  ] as const) {
    it(`bad input: a program that ${what} is refused with the reason`, async () => {
      await test().start();
      const program = raw();
      for (const type of frames) {
        if (type === 'hello') program.hello();
        else program.send(type, { revision: 0 });
      }
      expect(await program.next('error')).include({ code, fatal: true });
      await until('it is closed', () => program.isClosed);
    });
  }

  it('bad input: an answer to something older changes nothing', async () => {
    await test().start();
    const program = raw().hello({ name: 'late' });
    const { nonce } = await program.next<SnapshotFrame>('snapshot');
    program.send('ack', { nonce, revision: 1, applyMs: 0 });
    await until('it is current', () => client('late')?.state === 'current');
    edit('url-2');
    await program.next('snapshot', 2);
    program
      .send('ack', { nonce, revision: 2, applyMs: 0 })
      .send('nack', { nonce, revision: 2, code: 'x', paths: [], message: '' });
    await quietFor(50);
    expect(client('late')).include({ revision: 1, state: 'waiting', rejection: null });
  });
});

/** What is alive; the log that a test keeps is the most of it. */
function usedHeap(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  return process.memoryUsage().heapUsed;
}
