import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { expect } from 'chai';
import { IPCModule } from 'node-ipc';
import { connect } from '../../client/connect.ts';
import { ClientError } from '../../client/errors.ts';
import { encodeFrame, type SnapshotFrame, type Welcome } from '../../schemas/wire.ts';
import { RawProgram } from '../support/raw-program.ts';
import { useScratch } from '../support/scratch.ts';
import { quietFor, until } from '../support/until.ts';
import { useDaemon } from '../support/use-daemon.ts';

describe('delivery to programs', () => {
  const programs: RawProgram[] = [];
  afterEach(() => {
    for (const { socket } of programs.splice(0)) socket.destroy();
  });
  const daemon = useDaemon();
  const program = () => {
    const raw = new RawProgram(daemon().socket);
    programs.push(raw);
    return raw;
  };
  const edit = (url: string) => daemon().scratch.write('secrets/app.yaml', `database: { url: ${url} }\n`);

  it('greets with where it is, then sends the whole', async () => {
    await daemon().start();
    const raw = program().hello();
    const welcome = await raw.next<Welcome>('welcome');
    expect(welcome).include({ protocol: 1, resume: 'full', revision: 1, view: 'default' });
    const snapshot = await raw.next<SnapshotFrame>('snapshot');
    expect(snapshot).include({ epoch: welcome.epoch, revision: 1, cause: 'start' });
    expect(snapshot.settings).property('database');
  });

  it('sends nothing to a program that has it all (resume by epoch, revision and digest)', async () => {
    await daemon().start();
    const first = await program().hello().next<SnapshotFrame>('snapshot');
    const { epoch, revision, digest } = first;
    const again = program().hello({ last: { epoch, revision, digest } });
    expect(await again.next('welcome')).include({ resume: 'same' });
    const other = program().hello({ last: { epoch, revision, digest: '0'.repeat(16) } });
    expect(await other.next('welcome')).include({ resume: 'full' });
    await other.next('snapshot');
    expect(again.of('snapshot')).length(0);
  });

  it('keeps one snapshot in flight, and sends the newest when the answer comes (law 10)', async () => {
    await daemon().start();
    const raw = program().hello();
    const { nonce } = await raw.next<SnapshotFrame>('snapshot');
    for (let revision = 2; revision <= 4; revision++) {
      edit(`url-${revision}`);
      await until(`revision ${revision}`, () => daemon().revision === revision);
    }
    expect(raw.of('snapshot')).length(1);
    raw.send('ack', { nonce, revision: 1, applyMs: 1 });
    expect(await raw.next('snapshot', 2)).include({ revision: 4 });
    expect(raw.of('snapshot')).length(2);
  });

  it('sends the change alone to a program that can patch, and the whole when it asks', async () => {
    await daemon().start();
    const raw = program().hello({ capabilities: ['patch'] });
    const { nonce } = await raw.next<SnapshotFrame>('snapshot');
    raw.send('ack', { nonce, revision: 1, applyMs: 0 });
    edit('patched');
    const patch = await raw.next<Record<string, unknown>>('patch');
    expect(patch).include({ base: 1, revision: 2 });
    expect(patch.operations).deep.equal([{ op: 'add', path: '/database/url', value: 'patched' }]);
    raw.send('resync', { reason: 'test' });
    expect(await raw.next('snapshot', 2)).include({ revision: 2 });
  });

  it('hears a rejection, keeps the program at what it has, and offers the next one', async () => {
    await daemon().start();
    const config = await daemon().connect();
    config.watch('database', (next) => expect(next.url).not.equal('refused'));
    edit('refused');
    await until('the rejection is known', () => daemon().logged('subscriber_rejected_snapshot').length === 1);
    expect(config.settings.database.url).not.equal('refused');
    const [subscriber] = daemon().daemon!.reports.clients();
    expect(subscriber).include({ revision: 1, state: 'rejected' });
    edit('taken');
    await until('the next one is taken', () => config.settings.database.url === 'taken');
    expect(config.snapshot.revision).equal(3);
  });

  it('notices a push that was lost on the way by the next heartbeat', async () => {
    await daemon().start();
    const raw = program().hello({ capabilities: ['patch'] });
    const { nonce } = await raw.next<SnapshotFrame>('snapshot');
    raw.send('ack', { nonce, revision: 1, applyMs: 0 });
    raw.send('pong', { revision: 0 });
    expect(await raw.next('snapshot', 2)).include({ revision: 1 });
  });

  for (const [what, bytes, code] of [
    ['a frame before hello', encodeFrame('ping', { revision: 0 }), 'hello_expected'],
    [
      'another protocol',
      encodeFrame('hello', { protocol: 99, name: '', pid: 0, library: '', capabilities: [] }),
      'protocol_unsupported',
    ],
    ['a hello that is none', encodeFrame('hello', { protocol: 'one' }), 'bad_frame'],
  ] as const) {
    it(`refuses ${what}, says why, and hears nothing behind it`, async () => {
      await daemon().start();
      const raw = program();
      raw.socket.write(
        bytes + encodeFrame('hello', { protocol: 1, name: 'late', pid: 0, library: '', capabilities: [] }),
      );
      expect(await raw.next('error')).include({ code, fatal: true });
      await until('the socket is closed', () => raw.isClosed);
      expect(raw.of('welcome')).length(0);
    });
  }

  for (const [what, bytes] of [
    ['null', 'null\f'],
    ['a number for a type', '{"type":1}\f'],
    ['no JSON', '{"type":\f'],
    ['an unknown event', encodeFrame('shutdown', {})],
    ['a lifecycle event of node-ipc', encodeFrame('close', {})],
    ['a prototype key', encodeFrame('__proto__', {})],
    ['a frame over the limit', `${'x'.repeat(70_000)}`],
  ] as const) {
    it(`closes on ${what} and serves the others`, async () => {
      await daemon().start();
      const raw = program();
      raw.socket.write(bytes);
      await until('the socket is closed', () => raw.isClosed);
      await program().hello().next('snapshot');
    });
  }

  it('closes a connection without a hello', async () => {
    await daemon().start();
    const raw = program();
    const started = performance.now();
    expect(await raw.next('error')).include({ code: 'hello_timeout' });
    expect(performance.now() - started).greaterThan(1_500);
    await until('it is closed', () => raw.isClosed);
  });

  it('says goodbye when it stops, and programs come back by themselves (law 11)', async () => {
    await daemon().start();
    const config = await daemon().connect();
    const raw = program().hello();
    await raw.next('snapshot');
    const links: string[] = [];
    config.on('link', ({ kind }) => links.push(kind));
    await daemon().daemon!.stop();
    expect(await raw.next('goodbye')).include({ code: 'shutting_down' });
    await until('the program knows', () => config.link.kind === 'stale');
    expect(config.settings.database.poolSize).equal(5);
    edit('changed-meanwhile');
    await daemon().start();
    await until('it is back', () => config.link.kind === 'live');
    await until('and current', () => config.settings.database.url === 'changed-meanwhile');
    // Each new reason to be stale is an event; how many there are depends on how long the daemon is away.
    expect(links.filter((kind, i) => kind !== links[i - 1])).deep.equal(['stale', 'live']);
  });

  it('is stale since it first was, however often it tries to come back', async () => {
    await daemon().start();
    const config = await daemon().connect();
    await daemon().daemon!.stop();
    await until('it is stale', () => config.link.kind === 'stale');
    const since = () => (config.link.kind === 'stale' ? config.link.since.getTime() : 0);
    const first = since();
    await quietFor(700);
    expect(since()).equal(first);
    await daemon().start();
    await until('it is back', () => config.link.kind === 'live');
  });

  it('lets a stopped program cost nobody else anything', async () => {
    await daemon().start();
    const stuck = program().hello();
    await stuck.next('snapshot');
    stuck.socket.pause();
    const config = await daemon().connect();
    for (let i = 0; i < 5; i++) {
      edit(`value-${i}`);
      await until(`value ${i}`, () => config.settings.database.url === `value-${i}`);
    }
    expect(
      daemon()
        .daemon!.reports.clients()
        .find(({ name }) => name === 'raw'),
    ).include({ state: 'waiting' });
  });

  it('refuses a reload where the view does not allow it', async () => {
    daemon().options.views = { default: { mayReload: false } };
    const config = await (await daemon().start()).connect();
    const error = await config.reload().then(
      () => undefined,
      (reason) => reason,
    );
    expect(error).instanceOf(ClientError).include({ code: 'not_allowed' });
  });

  it("talks to node-ipc's own client", async () => {
    await daemon().start();
    const ipc = new IPCModule();
    Object.assign(ipc.config, { silent: true, retry: 50 });
    const got = new Promise<SnapshotFrame>((resolve) => {
      ipc.connectTo('hotconf', daemon().socket, () => {
        ipc.of.hotconf!.on('connect', () =>
          ipc.of.hotconf!.emit('hello', { protocol: 1, name: 'ipc', pid: 1, library: 'node-ipc', capabilities: [] }),
        );
        ipc.of.hotconf!.on('snapshot', (data: never) => resolve(data));
      });
    });
    expect((await got).settings).property('database');
    ipc.disconnect('hotconf');
  });
});

describe("the client against node-ipc's own server", () => {
  const scratch = useScratch();

  it('takes a snapshot and answers it', async () => {
    mkdirSync(scratch().path('run'));
    const ipc = new IPCModule();
    Object.assign(ipc.config, { silent: true, unlink: false });
    const socket = scratch().path('run/s');
    const acks: unknown[] = [];
    await new Promise<void>((resolve) => {
      ipc.serve(socket, resolve);
      ipc.server.on('hello', (_data: never, peer: never) => {
        const limits = { inboundFrame: 1024, outboundFrame: 1024 * 1024, heartbeatMs: 15_000, verifyMs: 10_000 };
        const state = { kind: 'ready', since: new Date().toISOString(), sources: [] };
        ipc.server.write(
          peer,
          encodeFrame('welcome', {
            protocol: 1,
            session: 's',
            epoch: 'e',
            revision: 1,
            resume: 'full',
            limits,
            view: 'default',
            state,
          }),
        );
        const delivery = {
          nonce: 'n',
          epoch: 'e',
          revision: 1,
          digest: '0'.repeat(16),
          committedAt: new Date().toISOString(),
          cause: 'start',
          changed: [],
          removed: [],
        };
        ipc.server.write(peer, encodeFrame('snapshot', { ...delivery, settings: { a: 'text with \f and \u2028' } }));
      });
      ipc.server.on('ack', (data: never) => acks.push(data));
      ipc.server.start();
    });
    const config = await connect<{ a: string }>({ socket });
    expect(config.settings.a).equal('text with \f and \u2028');
    await until('the answer came', () => acks.length === 1);
    expect(acks[0]).include({ nonce: 'n', revision: 1 });
    await config.close();
    const closed = once(ipc.server.server, 'close');
    ipc.server.stop();
    await closed;
  });
});

describe('connecting', () => {
  const daemon = useDaemon();

  it('waits for a daemon that is not there yet, and gives up in time', async () => {
    const socket = daemon().scratch.path('run/default.sock');
    const error = await connect({ socket, timeoutMs: 200 }).then(
      () => undefined,
      (reason) => reason,
    );
    expect(error).instanceOf(ClientError).include({ code: 'timeout' });
    expect(error.message).contain(socket).contain('ENOENT');
    const waiting = connect({ socket, timeoutMs: 10_000 });
    await quietFor(120);
    await daemon().start();
    const config = await waiting;
    expect(config.link.kind).equal('live');
    await config.close();
  });

  it('is aborted by its signal', async () => {
    const stop = new AbortController();
    const waiting = connect({ socket: daemon().scratch.path('none.sock'), signal: stop.signal }).catch(
      (error) => error,
    );
    stop.abort();
    expect(await waiting).include({ code: 'aborted' });
  });

  it('fails at once when its own verify refuses the first snapshot, without its values', async () => {
    const url = daemon().canary();
    daemon().scratch.write('secrets/app.yaml', `database: { url: ${url} }\n`);
    await daemon().start();
    const verify = (next: { database: { url: string } }) => {
      throw new Error(`cannot reach ${next.database.url}`);
    };
    const error = await daemon()
      .connect({ verify })
      .catch((reason) => reason);
    expect(error).include({ code: 'rejected' });
    expect(error.message).contain('cannot reach [redacted]');
  });
});
