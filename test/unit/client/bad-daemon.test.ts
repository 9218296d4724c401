import { expect } from 'chai';
import { connect } from '../../../client/connect.ts';
import type { Config } from '../../../client/types.ts';
import { maxDurationMs } from '../../../schemas/wire-limits.ts';
import { FakeDaemon, patchOf, snapshotOf, welcome } from '../../support/fake-daemon.ts';
import { useScratch } from '../../support/scratch.ts';
import { quietFor, until } from '../../support/until.ts';

describe('a daemon that breaks the protocol', () => {
  const scratch = useScratch();
  let daemon: FakeDaemon;
  let config: Config<{ a: number }>;
  const crashes: unknown[] = [];
  const onCrash = (error: unknown) => void crashes.push(error);
  let others: NodeJS.UnhandledRejectionListener[];
  beforeEach(async () => {
    others = process.listeners('unhandledRejection');
    process.removeAllListeners('unhandledRejection');
    process.on('unhandledRejection', onCrash);
    daemon = await new FakeDaemon().start(scratch().path('d.sock'));
    daemon.greeting = [
      { type: 'welcome', data: welcome },
      { type: 'snapshot', data: snapshotOf({ a: 1 }, 1) },
    ];
    config = await connect<{ a: number }>({
      socket: scratch().path('d.sock'),
      name: 'program',
      verify: () => undefined,
    });
  });
  afterEach(async () => {
    await config.close();
    await daemon.stop();
    process.off('unhandledRejection', onCrash);
    for (const listener of others) process.on('unhandledRejection', listener);
    expect(crashes.splice(0)).deep.equal([]);
  });

  const patch = patchOf({ a: 1 }, { a: 2 }, 1, 2);
  for (const [what, type, data] of [
    ['a candidate that is null', 'verify', null],
    ['a candidate without settings', 'verify', { ...snapshotOf({}, 2), settings: 5 }],
    ['a snapshot that is a list', 'snapshot', []],
    ['a snapshot whose settings are null', 'snapshot', { ...snapshotOf({}, 2), settings: null }],
    ['a snapshot without a date', 'snapshot', { ...snapshotOf({ a: 2 }, 2), committedAt: 'yesterday' }],
    ['a snapshot without a number', 'snapshot', { ...snapshotOf({ a: 2 }, 2), revision: '2' }],
    ['a snapshot whose nonce is an object', 'snapshot', { ...snapshotOf({ a: 2 }, 2), nonce: {} }],
    ['a patch without operations', 'patch', { ...patch, operations: {} }],
    ['a patch whose operation is none', 'patch', { ...patch, operations: [null] }],
    ['a ping without a revision', 'ping', {}],
    ['an answer that is null', 'response', null],
    ['an error that is null', 'error', null],
    ['an error with an endless wait', 'error', { code: 'x', message: 'x', fatal: false, retryAfterMs: 1e12 }],
    ['a goodbye that is null', 'goodbye', null],
    ['a welcome without limits', 'welcome', { ...welcome, limits: undefined }],
    ['a welcome with limits that are none', 'welcome', { ...welcome, limits: { outboundFrame: 'x', verifyMs: -1 } }],
  ] as const)
    it(`costs the session and nothing else: ${what}`, async () => {
      const links: string[] = [];
      config.on('link', (link) => void links.push(link.kind === 'stale' ? link.reason : link.kind));
      daemon.send(type, data);
      await until('the session is ended, and there is another', () => links.length >= 2);
      expect(links).deep.equal([`the daemon sent a frame that breaks the protocol (${type})`, 'live']);
      expect(config.settings.a).equal(1);
    });

  it('does not make a program come back at once, however long the wait that it names', async () => {
    await daemon.next('ack');
    daemon.send('goodbye', { code: 'shutting_down', retryAfterMs: maxDurationMs });
    daemon.cut();
    await until('it is stale', () => config.link.kind === 'stale');
    await quietFor(400);
    expect(daemon.connections).equal(1);
  });

  it('is left when it reads nothing, before what waits for it fills the memory', async () => {
    daemon.freeze();
    for (let i = 0; i < 5_000; i++) config.reportFailure(`code-${i}`, 'm'.repeat(2_000));
    await until('it is stale', () => config.link.kind === 'stale', 3_000);
    await until('it is live again', () => config.link.kind === 'live');
  });

  it('does not make a program ask again and again for a whole that it cannot take', async () => {
    const deep = [`{"a":`.repeat(20_000), 1, '}'.repeat(20_000)].join('');
    const frame = JSON.stringify(snapshotOf({ a: 0 }, 2)).replace('{"a":0}', deep);
    daemon.sendText(`{"type":"snapshot","data":${frame}}\f`);
    await until('there is another session', () => daemon.connections === 2);
    expect(daemon.of('resync')).deep.equal([]);
    await until('it is live', () => config.link.kind === 'live');
  });
});
