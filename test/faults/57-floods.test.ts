import { expect } from 'chai';
import { ClientError } from '../../client/errors.ts';
import { encodeFrame } from '../../schemas/wire.ts';
import { hotconf, useProcesses } from '../support/daemon-process.ts';
import { fastClock } from '../support/fast-clock.ts';
import { floodSeconds, measureFlood } from '../support/floods.ts';
import { RawProgram } from '../support/raw-program.ts';
import { useScratch } from '../support/scratch.ts';
import { quietFor, until } from '../support/until.ts';
import { useDaemon } from '../support/use-daemon.ts';

describe('fault 57: programs that cost without end', () => {
  for (const [kind, what] of [
    ['ping', 'send heartbeats and read nothing'],
    ['busy', 'ask without end and read nothing'],
    ['resync', 'have everything sent again and read nothing'],
    ['hello', 'leave a long frame unfinished, 900 of them'],
    ['long-hello', 'begin with a hello of 60 KB, 900 of them'],
    ['report', 'report failures without end'],
    ['ask', 'ask for reloads, checks and settings without end'],
  ] as const) {
    it(`57: programs that ${what} do not grow the daemon, nor keep its changes from an honest one`, async function () {
      this.timeout(floodSeconds * 1_000 + 120_000);
      const { survived, peakMb, changes, logBytes } = await measureFlood(kind, floodSeconds);
      expect(survived).equal(true);
      expect(peakMb, 'resident MB at most').lessThan(256);
      expect(changes, 'changes that the honest program got').greaterThan(0);
      // What the honest changes log is in it.
      expect(logBytes / 1e6, 'MB of log').lessThan(1 + floodSeconds / 60);
    });
  }
});

describe('fault 57: one program beside others', () => {
  const raws: RawProgram[] = [];
  afterEach(() => {
    for (const { socket } of raws.splice(0)) socket.destroy();
  });
  const test = useDaemon();
  const raw = (name: string) => {
    const program = new RawProgram(test().socket).hello({ name });
    raws.push(program);
    return program;
  };
  const ping = encodeFrame('ping', { revision: 1 });
  const clients = () => test().daemon!.reports.clients();

  it('57: one that does not take its answers is read no further, and is answered when it takes them', async () => {
    await test().start();
    const lazy = raw('lazy');
    await lazy.next('snapshot');
    lazy.socket.pause();
    const asked = 400;
    for (let i = 0; i < asked; i++)
      lazy.send('request', { id: `${i}`, kind: 'summary' }).send('request', { id: `c${i}`, kind: 'config' });
    await quietFor(300);
    lazy.socket.resume();
    await until('each request is answered', () => lazy.of('response').length === 2 * asked, 30_000);
    const limited = lazy.of('response').filter(({ data }) => data.code === 'rate_limited');
    expect(limited.length).greaterThan(asked);
    expect(limited[0]!.data.retryAfterMs).greaterThan(0);
    expect(lazy.isClosed).equal(false);
  });

  it('57: one that sends too fast is read later and not cut off, and others of its user are read at once', async function () {
    this.timeout(60_000);
    await test().start();
    const fast = raw('fast');
    await fast.next('snapshot');
    for (let i = 0; i < 5_000; i++) fast.socket.write(ping);
    const config = await test().connect({ name: 'honest' });
    const started = performance.now();
    await config.summary();
    expect(performance.now() - started, 'ms for the honest one').lessThan(3_000);
    await quietFor(1_000);
    expect(fast.isClosed).equal(false);
    expect(fast.of('pong').length, 'pongs').lessThan(2_500);
  });

  it('57: one that is dead and not read is cut off, one that takes slowly what it is owed is not', async function () {
    this.timeout(60_000);
    test().options.limits = { snapshotSize: '16MiB', fileSize: '12MiB' };
    test().scratch.write('secrets/big.json', JSON.stringify({ extra: { text: 'x'.repeat(8_000_000) } }));
    test().options.reload = { rescan: '1h', startWait: '0s', deadline: '1h' };
    test().clock = fastClock(15);
    await test().start();
    const isThere = (name: string) => clients().some((client) => client.name === name);
    // On this clock a hello is easily late.
    const join = async (name: string): Promise<RawProgram> => {
      const program = raw(name);
      program.socket.pause();
      await until(`${name} is there, or too late`, () => isThere(name) || program.isClosed, 1_000).catch(() => {});
      return isThere(name) ? program : join(name);
    };
    await join('dead');
    const slow = await join('slow');
    // A piece of the 8 MB a time, far longer than two heartbeats.
    const sip = setInterval(() => {
      slow.socket.resume();
      slow.socket.once('data', () => slow.socket.pause());
    }, 60);
    await until('the dead one is cut off', () => !isThere('dead'), 20_000);
    await quietFor(2_000);
    expect(isThere('slow')).equal(true);
    clearInterval(sip);
    slow.socket.resume();
    await until('the slow one has it all', () => slow.of('snapshot').length === 1, 20_000);
  });

  it('57: the client waits for its turn where that comes soon, and says when otherwise', async function () {
    this.timeout(60_000);
    await test().start();
    const config = await test().connect();
    for (let i = 0; i < 7; i++) await config.summary();
    await config.close();
    await test().daemon!.stop();
    test().options.limits = { requestsPerMinute: 1 };
    await test().start();
    const other = await test().connect();
    for (let i = 0; i < 5; i++) await other.summary();
    const error = await other.summary().catch((refused) => refused);
    expect(error).instanceOf(ClientError).include({ code: 'rate_limited' });
    expect(error.message).match(/limits\.requestsPerMinute.*ask again in \d+ ms/);
    expect((await other.validate()).valid, 'another kind').equal(true);
  });

  it('57: what programs have logged is bounded, and what is left out is counted', async function () {
    this.timeout(60_000);
    test().clock = fastClock(30);
    test().options.limits = { logPerMinute: '32KiB' };
    await test().start();
    const talker = raw('talker');
    await talker.next('snapshot');
    for (let i = 0; i < 100; i++) talker.send('report', { code: 'c', message: `${i} ${'x'.repeat(1_500)}` });
    await until('the rest is counted', () => test().logged('program_lines_left_out').length > 0, 30_000);
    expect(test().logged('subscriber_report').length).lessThan(20);
    const [line] = test().logged('program_lines_left_out');
    expect(line).include({ level: 'warn', uid: process.getuid!() });
    expect(line!.leftOut).greaterThan(50);
  });

  it('57: of what a program says of itself only what is known is kept, without secrets or control characters', async function () {
    this.timeout(60_000);
    await test().start();
    const secret = test().canaries[0]!;
    const [named, forged] = [raw(`is ${secret}`), raw('a\u001b[2J\u001b]0;owned\u0007\rb\u009b')];
    await Promise.all([named.next('snapshot'), forged.next('snapshot')]);
    const text = JSON.stringify(test().daemon!.reports.status());
    expect(text).contain('is [redacted]');
    expect(text).not.contain(secret);
    expect(clients().map(({ name }) => name)).contain('a?[2J?]0;owned??b?');
    expect(await test().daemon!.reports.line()).not.contain(secret);
    const long = new RawProgram(test().socket).hello({ unknown: 'x'.repeat(5_000) });
    raws.push(long);
    await until('it is refused', () => long.of('error').length === 1, 20_000);
    expect(long.of('error')[0]!.data).include({ code: 'too_much', fatal: false });
  });
});

describe('fault 57: users that are not known', () => {
  const scratch = useScratch();
  const start = useProcesses();

  it('57: are limited by socket, which is logged, degrades production, and shows whose pid is only claimed', async () => {
    scratch().write('schema.json', '{"type": "object"}');
    const options = {
      environment: 'production',
      schema: './schema.json',
      sources: { defaults: './defaults.yaml' },
      runtimeDir: './run',
      stateDir: './state',
      limits: { clientsPerUid: 6 },
    };
    scratch().write('defaults.yaml', 'a: 1\n');
    const file = scratch().write('hotconf.yaml', JSON.stringify(options));
    // As where koffi is not installed.
    const env = { ...process.env, NODE_OPTIONS: '--no-addons' };
    const daemon = await start(['start', '--config', file], { env }).ready();
    const programs = Array.from({ length: 5 }, () => new RawProgram(scratch().path('run/default.sock')).hello());
    const refused = () => programs.filter((program) => program.of('error')[0]?.data.code === 'too_many_clients');
    await until('two of five are refused', () => refused().length === 2);
    await until('three are served', () => programs.filter((program) => program.of('snapshot').length > 0).length === 3);
    expect(daemon.logged('peers_unknown')).length(1);
    expect(daemon.logged('peers_unknown')[0]).include({ level: 'warn' });
    const { stdout } = await hotconf(['status', '--config', file]);
    expect(stdout).match(/degraded \(.*it is not known who connects/);
    expect(stdout).match(/raw +1 \(claimed\)/);
    for (const { socket } of programs) socket.destroy();
  });
});
