import { expect } from 'chai';
import { Allowances } from '../../../daemon/serve/allowance.ts';
import { Intake } from '../../../daemon/serve/intake.ts';
import { Outbox, SharedAnswer } from '../../../daemon/serve/outbox.ts';
import { Pulse } from '../../../daemon/serve/pulse.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { limits } from '../../support/limits.ts';

describe('what a peer may cost', () => {
  let clock: FakeClock;
  let logged: [string, unknown][];
  let allowances: Allowances;
  const peer = (uid: number) => ({ uid, gid: uid, pid: 1, groups: [] });
  const rates = { ...limits, framesPerSecond: 100, requestsPerMinute: 60, logPerMinute: 8_000 };
  const framesAtOnce = (allowance: ReturnType<Allowances['of']>, most = 100_000) => {
    let count = 0;
    for (; count < most && allowance.frameWaitMs === 0; count++) allowance.spend(1);
    return count;
  };

  beforeEach(() => {
    clock = new FakeClock();
    logged = [];
    allowances = new Allowances(rates, clock, (_level, event, _message, fields) => void logged.push([event, fields]));
  });

  it('is so many frames a second for one program, and what is over is paid later', async () => {
    const one = allowances.of('default', peer(1));
    expect(framesAtOnce(one)).equal(200);
    await clock.advance(one.frameWaitMs);
    expect(framesAtOnce(one)).equal(1);
    one.spend(1_000_000);
    expect(one.frameWaitMs, 'a debt of one burst').equal(2_010);
  });

  it('is bounded for all programs of a user, of whom a quiet one is never held up', () => {
    const quiet = allowances.of('default', peer(1));
    const loud = Array.from({ length: 40 }, () => allowances.of('default', peer(1)));
    const total = loud.reduce((sum, one) => sum + framesAtOnce(one), 0);
    expect(total).within(1_900, 2_700);
    expect(framesAtOnce(quiet)).equal(16);
    expect(framesAtOnce(allowances.of('default', peer(2)), 100)).equal(100);
    expect(allowances.of('default', peer(1)).frameWaitMs, 'one that has just come').greaterThan(0);
  });

  it('is half of that for a whole socket where users are not known', () => {
    const total = Array.from({ length: 40 }, () => framesAtOnce(allowances.of('default', undefined)));
    expect(total.reduce((sum, count) => sum + count)).within(900, 1_700);
  });

  it('is no frame for an answer that was asked for', () => {
    const one = allowances.of('default', peer(1));
    const shared = framesAtOnce(allowances.of('default', peer(1)));
    expect(shared).equal(200);
    expect(one.isExpected(1)).equal(false);
    one.expectAnswer();
    expect([one.isExpected(60), one.isExpected(1), one.isExpected(1)]).deep.equal([false, true, false]);
    expect(framesAtOnce(allowances.of('default', peer(1)))).equal(200);
  });

  it('is a few requests of each kind at once, then one a second, and five programs’ worth for a user', async () => {
    const one = allowances.of('default', peer(1));
    for (let i = 0; i < 5; i++) expect(one.request('reload')).equal(undefined);
    expect(one.request('reload')).equal(1_000);
    expect(one.request('summary')).equal(undefined);
    await clock.advance(1_000);
    expect(one.request('reload')).equal(undefined);
    const others = Array.from({ length: 40 }, () => allowances.of('default', peer(1)));
    expect(others.filter((other) => other.request('config') === undefined).length).equal(25);
    expect(others[39]!.request('config')).equal(200);
    expect(allowances.of('web', peer(1)).request('config'), 'another view').equal(undefined);
  });

  it('is so many bytes of the log, and one line a minute about the rest', async () => {
    const [one, other] = [allowances.of('default', peer(1)), allowances.of('default', peer(1))];
    const taken = [one, one, one, other].map((allowance) => allowance.mayLog(400));
    expect(taken).deep.equal([true, true, false, true]);
    allowances.summarize();
    expect(logged).deep.equal([]);
    await clock.advance(60_000);
    for (let i = 0; i < 2; i++) allowances.summarize();
    expect(logged).deep.equal([['program_lines_left_out', { uid: 1, leftOut: 1 }]]);
    expect(one.mayLog(400)).equal(true);
  });

  it('is a bounded share of memory for what is unread, for all of a user together', () => {
    const all = Array.from({ length: 400 }, () => allowances.of('default', peer(1)));
    expect(all.filter((one) => one.keep(60_000)).length).equal(300);
    expect(all[399]!.keep(4_096), 'what an honest program needs').equal(true);
    for (const one of all) one.end();
    expect(allowances.of('default', peer(1)).keep(60_000)).equal(true);
  });

  describe('on its way in', () => {
    let taken: string[];
    let isBehind: boolean;
    let isLive: boolean;
    let states: string[];
    let intake: Intake;
    const frame = '{"type":"ping"}\f';

    beforeEach(() => {
      [taken, states, isBehind, isLive] = [[], [], false, true];
      intake = new Intake({
        allowance: allowances.of('default', peer(1)),
        clock,
        socket: { pause: () => states.push('pause'), resume: () => states.push('resume') },
        deliver: (piece) => void taken.push(piece),
        isBehind: () => isBehind,
        isLive: () => isLive,
        onPause: () => {},
        onTooMuch: (message) => states.push(message),
      });
    });

    it('comes frame by frame, whole and in order, whatever the pieces', async () => {
      const text = frame.repeat(500);
      for (let at = 0; at < text.length; at += 7) {
        intake.push(text.slice(at, at + 7));
        await clock.advance(20);
      }
      expect(taken.join('')).equal(text);
    });

    it('stops when its frames are used up, goes on by itself, and waits with no timer when it is read', async () => {
      const timers = clock.waiting;
      intake.push(frame.repeat(1_000));
      expect(taken.length).within(190, 200);
      expect(states).deep.equal(['pause']);
      await clock.advance(20_000);
      expect(taken.length).equal(1_000);
      expect(states).deep.equal(['pause', 'resume']);
      expect(clock.waiting).equal(timers);
    });

    it('stops while answers are not taken, and goes on when they are', () => {
      isBehind = true;
      intake.push(frame.repeat(3));
      expect(taken.length).equal(1);
      intake.wake();
      expect(taken.length).equal(1);
      isBehind = false;
      intake.wake();
      expect(taken.length).equal(3);
      expect(states).deep.equal(['pause', 'resume']);
    });

    it('is not read any more after more than 4 KiB before the hello is accepted', () => {
      isLive = false;
      intake.push('x'.repeat(4_000));
      intake.push('x'.repeat(100));
      intake.push(frame);
      expect(states).deep.equal(['pause', 'a hello is at most 4096 bytes']);
      expect(taken.length).equal(1);
    });
  });

  describe('on its way out', () => {
    let written: string[];
    let flushes: (() => void)[];
    let caughtUp: number;
    let outbox: Outbox;
    const flush = () => {
      for (const onTaken of flushes.splice(0)) onTaken();
    };

    beforeEach(() => {
      [written, flushes, caughtUp] = [[], [], 0];
      const line = {
        write: (text: string | Buffer, onTaken: () => void = () => {}) => {
          written.push(String(text));
          flushes.push(onTaken);
        },
        progress: () => ({ taken: 0, owed: 0 }),
        end: () => {},
        destroy: () => {},
      };
      outbox = new Outbox(line, () => caughtUp++);
    });

    it('has one pong under way, and one state with the newest behind it', () => {
      for (let i = 0; i < 100; i++) outbox.sendPong(1);
      for (const kind of ['ready', 'stale', 'degraded'] as const)
        outbox.sendNewest('state', { kind, since: '', sources: [] });
      expect(written.length).equal(2);
      expect(outbox.isBehind).equal(false);
      flush();
      expect(written.length).equal(3);
      expect(written[2]).contain('degraded');
      flush();
      outbox.sendPong(1);
      expect(written.length).equal(4);
    });

    it('is behind by many answers, by long ones, or by settings twice, and not by its one snapshot', () => {
      outbox.sendShared(Buffer.alloc(10_000_000));
      expect(outbox.isBehind).equal(false);
      outbox.sendShared(Buffer.alloc(1));
      expect(outbox.isBehind).equal(true);
      flush();
      expect([outbox.isBehind, caughtUp]).deep.equal([false, 1]);
      for (let i = 0; i < 65; i++) outbox.send('response', { id: `${i}`, ok: false, code: 'busy' });
      expect(outbox.isBehind).equal(true);
      flush();
      outbox.send('response', { id: '1', ok: true, result: 'x'.repeat(70_000) });
      expect(outbox.isBehind).equal(true);
      flush();
      expect([outbox.isBehind, caughtUp]).deep.equal([false, 3]);
    });

    it('writes an answer that many get without a copy of it', () => {
      const answer = new SharedAnswer({ a: [1] });
      outbox.respond('"7', answer);
      const [text] = written.join('').split('\f');
      expect(JSON.parse(text!)).deep.equal({ type: 'response', data: { id: '"7', ok: true, result: { a: [1] } } });
    });

    it('ends when it is closed', () => {
      outbox.close();
      outbox.sendPong(1);
      outbox.send('response', { id: '1', ok: true });
      outbox.sendShared(Buffer.alloc(1));
      expect(written).deep.equal([]);
    });
  });

  it('does not end for a program that takes slowly what it is owed', () => {
    const pulse = new Pulse(clock);
    const owed = 16_000_000;
    for (let beat = 0; beat < 10; beat++) expect(pulse.beat({ taken: beat * 300_000, owed })).equal(true);
    const dead = { taken: 3_000_000, owed };
    expect([1, 2, 3].map(() => pulse.beat(dead))).deep.equal([true, true, false]);
  });
});
