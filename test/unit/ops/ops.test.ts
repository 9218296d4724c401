import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { expect } from 'chai';
import fc from 'fast-check';
import { createLog } from '../../../daemon/ops/log.ts';
import { Redaction } from '../../../daemon/ops/redaction.ts';
import { prepareRuntimeFolder } from '../../../daemon/ops/runtime-folder.ts';
import { SocketFile } from '../../../daemon/ops/socket-file.ts';
import { StateStore } from '../../../daemon/ops/state-store.ts';
import { canary, expectNoCanary } from '../../support/canary.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MemoryStream } from '../../support/memory-stream.ts';
import { useScratch } from '../../support/scratch.ts';

describe('redaction', () => {
  it('takes a secret out of any text, in any of its forms and at any place', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 6, maxLength: 40, unit: 'grapheme' }),
        fc.string(),
        fc.string(),
        (secret, before, after) => {
          fc.pre(secret.trim().length >= 6);
          const redaction = new Redaction();
          redaction.remember('d', { deep: [{ secret }] });
          for (const form of [
            secret,
            encodeURIComponent(secret),
            JSON.stringify(secret).slice(1, -1),
            Buffer.from(secret).toString('hex'),
          ]) {
            const clean = redaction.clean(before + form + after);
            if (!before.includes(form) && !after.includes(form))
              expect(clean.includes(form) && !'[redacted]'.includes(form)).equal(false);
          }
        },
      ),
    );
  });

  it('finds a secret inside longer base64, at each alignment', () => {
    const secret = canary();
    const redaction = new Redaction();
    redaction.remember('d', secret);
    for (const before of ['', 'u', 'us', 'user:']) {
      const encoded = Buffer.from(`${before}${secret}`).toString('base64');
      expectNoCanary('the text', redaction.clean(`Authorization: Basic ${encoded}`), [secret]);
      expect(redaction.clean(encoded)).contain('[redacted]');
    }
  });

  it('keeps the values before the last change secret, and forgets those before them', () => {
    const redaction = new Redaction();
    for (const value of ['first-secret', 'second-secret', 'third-secret']) redaction.remember('d', { value });
    expect(redaction.clean('first-secret second-secret third-secret')).equal('first-secret [redacted] [redacted]');
    redaction.remember('other', 'second-secret');
    redaction.remember('d', { value: 'fourth-secret' });
    redaction.remember('d', { value: 'fifth-secret' });
    expect(redaction.clean('second-secret')).equal('[redacted]');
  });

  it('does not forget the value before when the same content is read again', () => {
    const redaction = new Redaction();
    for (const value of ['first-secret', 'second-secret', 'second-secret']) redaction.remember('d', { value });
    expect(redaction.clean('first-secret')).equal('[redacted]');
  });

  it('leaves short values alone, which would take ordinary text apart', () => {
    const redaction = new Redaction();
    redaction.remember('d', { port: 80, level: 'info' });
    expect(redaction.clean('port 80 at level info')).equal('port 80 at level info');
  });

  it('replaces what stands under a name for a secret, and cleans the rest of a log line', () => {
    const redaction = new Redaction();
    redaction.remember('d', { url: 'postgres://secret' });
    const line = {
      password: 'anything',
      nested: { apiKey: 'x', note: 'to postgres://secret now' },
      error: new Error('at postgres://secret'),
      secretsLoaded: 3,
    };
    expect(redaction.cleanValue(line)).deep.equal({
      password: '[redacted]',
      nested: { apiKey: '[redacted]', note: 'to [redacted] now' },
      error: 'Error: at [redacted]',
      secretsLoaded: 3,
    });
  });
});

describe('the log', () => {
  const clock = new FakeClock();

  it('writes a line of JSON, or a line of text, each with the name of its event', () => {
    for (const format of ['json', 'text'] as const) {
      const stream = new MemoryStream();
      const { log } = createLog({ level: 'info', format, redaction: new Redaction(), clock, stream: stream as never });
      log('info', 'config_reload_completed', 'revision 2', { revision: 2, changed: ['a', 'b'] });
      log('debug', 'not_shown', 'because of the level');
      expect(stream.lines).length(1);
      if (format === 'json')
        expect(JSON.parse(stream.text)).deep.include({
          event: 'config_reload_completed',
          level: 'info',
          revision: 2,
          changed: ['a', 'b'],
        });
      else
        expect(stream.text).match(
          /^\d\d:\d\d:\d\d\.\d{3} info {2}config_reload_completed {2}revision 2 {2}revision=2 changed=a,b\n$/,
        );
    }
  });

  it('keeps each event on one line of text, without what could move a terminal’s cursor', () => {
    const stream = new MemoryStream();
    const redaction = new Redaction();
    const { log } = createLog({ level: 'info', format: 'text', redaction, clock, stream: stream as never });
    log('info', 'subscriber_connected', 'a\u001b[2J\rb\nc is connected', {
      subscriber: '\u001b]0;x\u0007\u009b1m\u202e',
    });
    expect(stream.text).match(/a\?\[2J b c is connected {2}subscriber=\?\]0;x\?\?1m\?\n$/);
  });

  it('drops lines when its reader stalls, and says how many', () => {
    const stream = new MemoryStream();
    let stalled = true;
    Object.defineProperty(stream, 'writableLength', { get: () => (stalled ? 2 ** 21 : 0) });
    const { log } = createLog({
      level: 'info',
      format: 'json',
      redaction: new Redaction(),
      clock,
      stream: stream as never,
    });
    log('info', 'one', '');
    log('info', 'two', '');
    stalled = false;
    log('info', 'three', '');
    expect(stream.lines.map((line) => JSON.parse(line).event)).deep.equal(['log_lines_dropped', 'three']);
    expect(JSON.parse(stream.lines[0]!)).include({ dropped: 2 });
  });
});

describe('the state store', () => {
  const scratch = useScratch();

  it('keeps epoch, last commit and history, and is readable by nobody else', () => {
    const folder = scratch().path('state');
    const store = StateStore.open(folder);
    store.saveCommit(7, '2026-01-01T00:00:00.000Z', 'd'.repeat(32));
    store.addRecord({ revision: 7 } as never);
    store.close();
    const again = StateStore.open(folder);
    expect(again.epoch).equal(store.epoch);
    expect(again.lastCommit).include({ revision: 7, mark: again.mark('d'.repeat(32)) });
    expect(again.mark('d'.repeat(32))).not.contain('dddd');
    expect(again.records()).deep.equal([{ revision: 7 }]);
    again.close();
    for (const name of readdirSync(folder)) expect(statSync(scratch().path('state', name)).mode & 0o077, name).equal(0);
  });

  it('keeps the newest thousand records', () => {
    const store = StateStore.open(scratch().path('state'));
    for (let revision = 1; revision <= 1_010; revision++) store.addRecord({ revision } as never);
    expect(store.records()).length(1_000);
    expect(store.records(1)[0]).include({ revision: 1_010 });
    store.close();
  });

  it('admits one holder, and names it to the next', () => {
    const store = StateStore.open(scratch().path('state'));
    expect(() => StateStore.open(scratch().path('state')))
      .throw()
      .include({ code: 'already_running' })
      .with.property('message')
      .contain(`pid ${process.pid}`);
    store.close();
    StateStore.open(scratch().path('state')).close();
  });

  it('puts a damaged file aside and keeps it', () => {
    mkdirSync(scratch().path('state'));
    writeFileSync(scratch().path('state/state.db'), 'x'.repeat(5_000));
    StateStore.open(scratch().path('state')).close();
    expect(readdirSync(scratch().path('state')).some((name) => name.startsWith('state.db.damaged-'))).equal(true);
  });
});

describe('the runtime folder', () => {
  const scratch = useScratch();

  it('is made for us and our group', () => {
    prepareRuntimeFolder(scratch().path('a/run'));
    expect(statSync(scratch().path('a/run')).mode & 0o777).equal(0o750);
    prepareRuntimeFolder(scratch().path('a/run'));
  });

  it('is refused when others may write to it, or when it is a link or a file', () => {
    mkdirSync(scratch().path('open'));
    chmodSync(scratch().path('open'), 0o777);
    symlinkSync(scratch().path('open'), scratch().path('link'));
    scratch().write('file', '');
    for (const name of ['open', 'link', 'file'])
      expect(() => prepareRuntimeFolder(scratch().path(name)), name)
        .throw()
        .include({ code: 'not_permitted' });
  });
});

describe('a socket file', () => {
  const scratch = useScratch();
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });
  const socketFile = (mode = 0o660) => {
    const server = createServer();
    servers.push(server);
    return new SocketFile(scratch().path('s'), { mode }, (temporary) => server.close().listen(temporary));
  };

  it('appears with its mode, replaces a dead one, and is taken away when it is still ours', async () => {
    const path = scratch().write('s', 'left behind');
    const file = socketFile();
    await file.publish();
    expect(statSync(path).mode & 0o777).equal(0o660);
    expect(readdirSync(scratch().folder)).deep.equal(['s']);
    file[Symbol.dispose]();
    expect(readdirSync(scratch().folder)).deep.equal([]);
  });

  it('leaves alone what somebody else put in its place', async () => {
    const [first, second] = [socketFile(), socketFile()];
    await first.publish();
    servers[0]!.close();
    await second.publish();
    first[Symbol.dispose]();
    expect(readdirSync(scratch().folder)).contain('s');
    second[Symbol.dispose]();
  });

  it('does not steal the socket of a process that listens', async () => {
    const file = socketFile();
    await file.publish();
    const error = await socketFile()
      .publish()
      .catch((reason) => reason);
    expect(error).include({ code: 'already_running' });
    file[Symbol.dispose]();
  });

  for (const [what, take] of [
    ['deleted', (path: string) => rmSync(path)],
    ['replaced by a file', (path: string) => (rmSync(path), writeFileSync(path, ''))],
  ] as const) {
    it(`knows that it was ${what}, and is published again without losing who is connected`, async () => {
      const file = socketFile();
      await file.publish();
      const client = connect(file.path);
      await once(client, 'connect');
      expect(file.isLost).equal(false);
      take(file.path);
      expect(file.isLost).equal(true);
      await file.publish();
      expect(file.isLost).equal(false);
      expect(client.destroyed).equal(false);
      const later = connect(file.path);
      await once(later, 'connect');
      for (const socket of [client, later]) socket.destroy();
      file[Symbol.dispose]();
    });
  }
});
