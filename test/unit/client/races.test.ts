import { expect } from 'chai';
import { connect } from '../../../client/connect.ts';
import { Latest } from '../../../client/latest.ts';
import type { Config, ConnectOptions } from '../../../client/types.ts';
import { settle } from '../../support/fake-clock.ts';
import { FakeDaemon, patchOf, snapshotOf, welcome } from '../../support/fake-daemon.ts';
import { useScratch } from '../../support/scratch.ts';
import { until } from '../../support/until.ts';
import { takeWarnings } from '../../support/warnings.ts';

interface App {
  a: number;
  b?: number;
}

describe('what happens meanwhile', () => {
  const scratch = useScratch();
  let daemon: FakeDaemon;
  let config: Config<App>;
  const open = async (options: ConnectOptions<App> = {}) => {
    config = await connect<App>({ socket: scratch().path('d.sock'), name: 'program', ...options });
    return config;
  };
  const next = (a: number, revision: number) => daemon.send('snapshot', snapshotOf({ a }, revision));
  beforeEach(async () => {
    daemon = await new FakeDaemon().start(scratch().path('d.sock'));
    daemon.greeting = [
      { type: 'welcome', data: welcome },
      { type: 'snapshot', data: snapshotOf({ a: 1 }, 1) },
    ];
  });
  afterEach(async () => {
    await config?.close();
    await daemon.stop();
  });
  const gate = () => {
    let open!: () => void;
    const passed = new Promise<void>((resolve) => {
      open = resolve;
    });
    return { open, passed };
  };

  it('a handler that another one stops is not called, nor is one called back that stopped itself', async () => {
    await open();
    const calls: string[] = [];
    const stop: (() => void)[] = [];
    stop[0] = config.watch('a', (a) => {
      calls.push(`first ${a}`);
      stop[0]!();
      stop[1]!();
    });
    stop[1] = config.watch('a', (a) => void calls.push(`second ${a}`));
    config.watch('a', () => {
      throw new Error('not this one');
    });
    next(2, 2);
    await daemon.next('nack');
    expect(calls).deep.equal(['first 2']);
  });

  it('a handler that is added while another one runs is called too, before the settings are visible', async () => {
    await open();
    const { open: pass, passed } = gate();
    const seen: unknown[] = [];
    let isRunning = false;
    config.watch('a', () => {
      isRunning = true;
      return passed;
    });
    next(2, 2);
    await until('the first one runs', () => isRunning);
    config.watch('a', (a, before) => void seen.push([a, before, config.settings.a]));
    pass();
    await until('it is taken', () => config.settings.a === 2);
    expect(seen).deep.equal([[2, 1, 1]]);
  });

  it('a handler that is added while verify runs is called too', async () => {
    const { open: pass, passed } = gate();
    let isRunning = false;
    await open({
      verify: ({ a }) => {
        isRunning = a === 2;
        return a === 2 ? passed : undefined;
      },
    });
    const seen: number[] = [];
    next(2, 2);
    await until('verify runs', () => isRunning);
    config.watch('a', (a) => void seen.push(a));
    pass();
    await until('it is taken', () => config.settings.a === 2);
    expect(seen).deep.equal([2]);
  });

  it('a handler that puts another in its place does not run for ever', async () => {
    await open();
    let calls = 0;
    const arm = () => {
      const stop = config.watch('a', async () => {
        calls++;
        stop();
        if (calls % 2 === 0) await settle();
        arm();
      });
    };
    arm();
    next(2, 2);
    await until('it is taken', () => config.settings.a === 2);
    expect(calls).equal(1);
    next(3, 3);
    await until('it is taken', () => config.settings.a === 3);
    expect(calls).at.most(3);
  });

  it('an older revision is ignored, and the answer names the one that is held', async () => {
    await open();
    next(2, 7);
    await daemon.next('ack', 2);
    next(9, 6);
    expect(await daemon.next('ack', 3)).include({ nonce: 'n6', revision: 7 });
    expect(config.settings.a).equal(2);
    config.watch(() => {
      throw new Error('no');
    });
    next(8, 8);
    expect(await daemon.next('nack')).include({ nonce: 'n8', revision: 7 });
    daemon.send('ping', { revision: 8 });
    expect(await daemon.next('pong')).include({ revision: 7 });
  });

  it('an answer to a candidate names the revision that is held', async () => {
    await open({ verify: ({ a }) => expect(a).not.equal(3) });
    await daemon.next('ack');
    daemon.send('verify', { ...snapshotOf({ a: 2 }, 2), nonce: 'c1' });
    expect(await daemon.next('ack', 2)).include({ nonce: 'c1', revision: 1 });
    daemon.send('verify', { ...snapshotOf({ a: 3 }, 2), nonce: 'c2' });
    expect(await daemon.next('nack')).include({ nonce: 'c2', revision: 1, code: 'verify_failed' });
    daemon.send('verify', { ...patchOf({ a: 8 }, { a: 9 }, 8, 9), nonce: 'c3' });
    expect(await daemon.next('nack', 2)).include({ nonce: 'c3', revision: 1, code: 'base_missing' });
  });

  it('the trial of a candidate ends with its connection, so that what follows need not wait for it', async () => {
    let signal: AbortSignal | undefined;
    await open({
      verify: ({ a }, given) => {
        if (a !== 2) return;
        signal = given;
        return new Promise(() => {});
      },
    });
    daemon.send('verify', { ...snapshotOf({ a: 2 }, 2), nonce: 'c' });
    await until('it is tried', () => signal);
    daemon.greeting = [daemon.greeting[0]!, { type: 'snapshot', data: snapshotOf({ a: 3 }, 3) }];
    daemon.cut();
    await until('it is taken', () => config.settings.a === 3, 3_000);
    expect(signal!.aborted).equal(true);
  });

  it('what is taken after the connection was lost is made known to the next one, which was told of what was held before', async () => {
    await open();
    const { open: pass, passed } = gate();
    let isRunning = false;
    config.watch('a', () => {
      isRunning = true;
      return passed;
    });
    next(2, 2);
    await until('the handler runs', () => isRunning);
    // The daemon went back to what the program held when it said hello.
    daemon.greeting = [{ type: 'welcome', data: { ...welcome, resume: 'same' } }];
    daemon.cut();
    expect(await daemon.next('hello', 2)).nested.include({ 'last.revision': 1 });
    await until('it is live', () => config.link.kind === 'live');
    pass();
    await daemon.next('resync');
    next(1, 3);
    await until('it is back', () => config.snapshot.revision === 3);
    expect(config.settings.a).equal(1);
  });

  it('a refusal that is not for good is the reason that the link is stale, until another one is', async () => {
    await open();
    const reasons: string[] = [];
    config.on('link', (link) => void (link.kind === 'stale' && reasons.push(link.reason)));
    const busy = { code: 'too_many_clients', message: 'come back later', fatal: false };
    daemon.greeting = [{ type: 'error', data: busy }];
    daemon.endAfterGreeting = true;
    daemon.cut();
    await until('it says why', () => reasons.some((reason) => reason.includes('come back later')));
    daemon.greeting = [];
    await until('it says something else', () => reasons.at(-1) === 'the connection was lost');
  });

  it('a push that is lost after a new epoch is noticed, though its number is lower', async () => {
    await open();
    next(2, 100);
    await daemon.next('ack', 2);
    daemon.greeting = [{ type: 'welcome', data: { ...welcome, epoch: 'other' } }];
    daemon.cut();
    await daemon.next('hello', 2);
    daemon.send('ping', { revision: 3 });
    await daemon.next('resync');
  });

  it('a listener that rejects is a warning, whichever event it listens to', async () => {
    await open();
    config.on('link', () => Promise.reject(new Error('of link')));
    config.on('change', () => Promise.reject(new Error('of change')));
    next(2, 2);
    await daemon.next('ack', 2);
    daemon.cut();
    await until('it is stale', () => config.link.kind === 'stale');
    await until('it is live', () => config.link.kind === 'live');
    await config.close();
    const warned: string[] = [];
    await until('it has warned', () => warned.push(...takeWarnings()) >= 4);
    for (const warning of warned) expect(warning).match(/^HotconfWarning: a listener of '(link|change)' failed/);
  });

  it('a handler that is none is refused when it is added', async () => {
    await open();
    for (const args of [['a'], ['a', undefined], [5, () => {}]])
      expect(() => config.watch(...(args as ['a', () => void])))
        .throw()
        .include({ code: 'usage' });
  });
});

describe('the newest value for a slow reader who asks twice', () => {
  const done = { done: true, value: undefined };

  it('goes to the first question, and the next one to the second', async () => {
    const latest = new Latest<number>(() => {});
    const both = [latest.next(), latest.next()];
    latest.put(1);
    latest.put(2);
    expect(await Promise.all(both)).deep.equal([
      { done: false, value: 1 },
      { done: false, value: 2 },
    ]);
  });

  it('ends every question that is open', async () => {
    const latest = new Latest<number>(() => {});
    const both = [latest.next(), latest.next()];
    await latest.return();
    expect(await Promise.all(both)).deep.equal([done, done]);
    latest.put(1);
    expect(await latest.next()).deep.equal(done);
  });
});
