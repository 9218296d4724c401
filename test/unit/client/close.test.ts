import { getEventListeners } from 'node:events';
import { expect } from 'chai';
import { connect } from '../../../client/connect.ts';
import { closeConfig, initConfig } from '../../../client/functions.ts';
import type { Config, ConnectOptions } from '../../../client/types.ts';
import { settle } from '../../support/fake-clock.ts';
import { FakeDaemon, snapshotOf, welcome } from '../../support/fake-daemon.ts';
import { useScratch } from '../../support/scratch.ts';
import { until } from '../../support/until.ts';

describe('a config that is closed', () => {
  const scratch = useScratch();
  let daemon: FakeDaemon;
  const socket = () => scratch().path('d.sock');
  const open = (options: ConnectOptions<{ a: number }> = {}): Promise<Config<{ a: number }>> =>
    connect({ socket: socket(), name: 'program', ...options });
  beforeEach(async () => {
    daemon = await new FakeDaemon().start(socket());
    daemon.greeting = [
      { type: 'welcome', data: welcome },
      { type: 'snapshot', data: snapshotOf({ a: 1 }, 1) },
    ];
  });
  afterEach(() => daemon.stop());

  /** A gate that a handler waits at. */
  const gate = () => {
    let open!: () => void;
    let isReached = false;
    const passed = new Promise<void>((resolve) => {
      open = resolve;
    });
    const wait = () => {
      isReached = true;
      return passed;
    };
    return { wait, open, reached: () => until('the handler runs', () => isReached) };
  };

  it('keeps its settings and calls nobody when a handler ends later', async () => {
    const config = await open();
    const { wait, open: pass, reached } = gate();
    const calls: string[] = [];
    config.watch('a', wait);
    config.on('change', () => void calls.push('change'));
    daemon.send('snapshot', snapshotOf({ a: 2 }, 2));
    await reached();
    await config.close();
    pass();
    await settle();
    expect(config.settings.a).equal(1);
    expect(config.snapshot.revision).equal(1);
    expect(calls).deep.equal([]);
  });

  it('calls no handler when verify ends later, and aborts its signal', async () => {
    const { wait, open: pass, reached } = gate();
    let signal: AbortSignal | undefined;
    const verify = ({ a }: { a: number }, given: AbortSignal) => {
      signal = given;
      return a === 1 ? undefined : wait();
    };
    const config = await open({ verify });
    const calls: string[] = [];
    config.watch('a', () => void calls.push('watch'));
    daemon.send('snapshot', snapshotOf({ a: 2 }, 2));
    await reached();
    await config.close();
    expect(signal!.aborted).equal(true);
    pass();
    await settle();
    expect(calls).deep.equal([]);
    expect(config.settings.a).equal(1);
  });

  it('calls no handler back to undo when another one fails later', async () => {
    const config = await open();
    const { wait, open: pass, reached } = gate();
    const seen: number[] = [];
    config.watch('a', (next) => void seen.push(next));
    config.watch('a', () => wait().then(() => Promise.reject(new Error('too late'))));
    daemon.send('snapshot', snapshotOf({ a: 2 }, 2));
    await reached();
    await config.close();
    pass();
    await settle();
    expect(seen).deep.equal([2]);
  });

  it('stays closed when a welcome arrives afterwards', async () => {
    const config = await open();
    const links: string[] = [];
    config.on('link', ({ kind }) => void links.push(kind));
    daemon.greeting = [];
    daemon.cut();
    await daemon.next('hello', 2);
    await config.close();
    daemon.send('welcome', { ...welcome, resume: 'same' });
    await daemon.next('goodbye');
    await settle();
    expect(config.link).include({ kind: 'stale', reason: 'closed' });
    expect(links).deep.equal(['stale', 'stale']);
  });

  it('leaves no listener at the signal that it was given', async () => {
    const stop = new AbortController();
    for (let i = 0; i < 3; i++) await (await open({ signal: stop.signal })).close();
    await open({ signal: stop.signal, verify: () => Promise.reject(new Error('no')) }).catch(() => {});
    expect(getEventListeners(stop.signal, 'abort')).length(0);
  });

  it('is not what initConfig() gives', async () => {
    const one = await initConfig({ socket: socket() });
    await one.close();
    const two = await initConfig({ socket: socket() });
    expect(two).not.equal(one);
    expect(two.link.kind).equal('live');
    await closeConfig();
  });

  it('is what initConfig() rejects by when closeConfig() comes first', async () => {
    const opening = initConfig({ socket: socket() }).catch((error) => error);
    await closeConfig();
    expect(await opening).include({ code: 'closed' });
  });

  it('is closed by closeConfig() while it waits for a daemon that may never come', async () => {
    const user = new AbortController();
    const options = { socket: scratch().path('none.sock'), timeoutMs: Number.POSITIVE_INFINITY, signal: user.signal };
    const opening = initConfig(options).catch((error) => error);
    await closeConfig();
    expect(await opening).include({ code: 'closed' });
    const again = initConfig(options).catch((error) => error);
    user.abort();
    expect(await again).include({ code: 'aborted' });
    expect(getEventListeners(user.signal, 'abort')).length(0);
  });

  it('calls no listener of change that comes after the one that closes it', async () => {
    const config = await open();
    const calls: string[] = [];
    config.on('change', () => {
      calls.push('first');
      void config.close();
    });
    config.on('change', () => void calls.push('second'));
    daemon.send('snapshot', snapshotOf({ a: 2 }, 2));
    await daemon.next('goodbye');
    expect(calls).deep.equal(['first']);
  });

  it('lets go of a daemon that does not answer its goodbye', async () => {
    const pipes = () => process.getActiveResourcesInfo().filter((kind) => kind === 'PipeWrap').length;
    const config = await open();
    await daemon.next('ack');
    daemon.freeze();
    await settle();
    const before = pipes();
    await config.close();
    await until("the program's end is gone", () => pipes() === before - 1, 3_000);
  });

  it('says nothing to a socket that it was still connecting to', async () => {
    const stop = new AbortController();
    const waiting = open({ signal: stop.signal }).catch((error) => error);
    stop.abort();
    expect(await waiting).include({ code: 'aborted' });
    await (await open()).close();
    await daemon.next('goodbye');
    daemon.frames.splice(daemon.frames.findIndex(({ type }) => type === 'hello'));
    expect(daemon.frames).deep.equal([]);
  });
});
