import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { expect } from 'chai';
import { AbortError } from 'p-retry';
import { type Alert, AlertBook } from '../../daemon/observe/alert-book.ts';
import { AlertTarget } from '../../daemon/observe/alert-target.ts';
import { systemClock } from '../../daemon/ops/clock.ts';
import { fastClock } from '../support/fast-clock.ts';
import { until } from '../support/until.ts';
import { useDaemon } from '../support/use-daemon.ts';

interface Told extends Alert {
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Somebody to whom alerts are posted; answers as it is told to. */
async function startReceiver() {
  const told: Told[] = [];
  /** Told or not. */
  const asked: { key: string; id: string }[] = [];
  const answers: number[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const piece of request.setEncoding('utf8')) text += piece;
    asked.push(JSON.parse(text));
    const status = answers.shift() ?? 204;
    if (status > 0 && status < 300) told.push({ ...JSON.parse(text), headers: request.headers, text });
    // 0: never.
    if (status > 0) response.writeHead(status).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const close = () => new Promise((resolve) => server.close(resolve).closeAllConnections());
  return { told, asked, answers, url: `http://127.0.0.1:${port}/hook/a-token-in-the-path`, close };
}

describe('alerts', () => {
  let receiver: Awaited<ReturnType<typeof startReceiver>>;
  beforeEach(async () => {
    receiver = await startReceiver();
  });
  afterEach(async () => {
    await test().stop();
    await receiver.close();
  });
  const test = useDaemon();
  const edit = (text: string) => test().scratch.write('secrets/app.yaml', text);
  const start = async () => {
    test().clock = fastClock(8);
    test().canaries.push('a-token-in-the-path', 'a-password-of-the-hook');
    test().options.alerts = { webhook: { url: receiver.url, headers: { authorization: 'a-password-of-the-hook' } } };
    await test().start();
  };
  const states = () => receiver.told.map(({ key, state }) => `${key} ${state}`);

  it('tell of a rejected reload and a stale source, once, and that they are over', async () => {
    await start();
    const secret = test().canary();
    edit(`database: { url: 3, extra: ${secret} }\n`);
    await until('both are told', () => receiver.told.length === 2);
    edit(`database: { url: 4, extra: ${secret} }\n`);
    await until('it is refused again', () => test().logged('config_reload_failed').length === 2);
    edit('database: { url: url-2 }\n');
    await until('both are over', () => receiver.told.length >= 4, 20_000);
    expect(states().sort()).deep.equal([
      'reload firing',
      'reload resolved',
      'source:files:./secrets firing',
      'source:files:./secrets resolved',
    ]);
    const [first] = receiver.told;
    const { headers: _, text, ...posted } = first!;
    expect(posted).include({ environment: 'production' });
    // As the README shows it.
    expect(Object.keys(JSON.parse(text))).deep.equal(['id', 'key', 'state', 'summary', 'since', 'host', 'environment']);
    expect(receiver.told.map(({ text }) => text).join())
      .contain('secrets/app.yaml')
      .not.contain(secret);
  });

  it('are signed, as Standard Webhooks has it', async () => {
    await start();
    edit('database: { url: 3 }\n');
    await until('it is told', () => receiver.told.length > 0);
    const { headers, text } = receiver.told[0]!;
    const key = Buffer.from(readFileSync(test().scratch.path('state/alert.key'), 'utf8'), 'base64');
    const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${text}`;
    expect(headers['webhook-signature']).equal(`v1,${createHmac('sha256', key).update(signed).digest('base64')}`);
    expect(Math.abs(Number(headers['webhook-timestamp']) - Date.now() / 1000)).lessThan(10);
    expect(headers.authorization).equal('a-password-of-the-hook');
  });

  it('slow no reload, whatever their receiver does', async () => {
    receiver.answers.push(0, 503);
    await start();
    const config = await test().connect();
    edit('database: { url: 3 }\n');
    await until('it is refused', () => test().logged('config_reload_failed').length === 1);
    edit('database: { url: url-2 }\n');
    await until('the program has the next', () => config.settings.database.url === 'url-2');
    expect(receiver.told).deep.equal([]);
  });

  it('have one id, however often they are sent', async () => {
    receiver.answers.push(503);
    await start();
    edit('database: { url: 3 }\n');
    await until('both are told', () => receiver.told.length === 2);
    const ids = receiver.asked.map(({ key, id }) => `${key} ${id}`);
    expect(ids).length(3);
    expect(new Set(ids).size, 'what was refused at first came again as the same').equal(2);
  });

  it('tell of what was wrong before anybody looked: a last known good that has no usable key', async () => {
    test().scratch.write('lkg.key', 'no key');
    test().options.lastKnownGood = { keyFile: './lkg.key' };
    await start();
    await until('it is told', () => states().includes('last-known-good firing'));
  });

  it('tell of a rollback', async () => {
    await start();
    edit('database: { url: url-2 }\n');
    await until('it is there', () => test().revision === 2);
    await test().daemon!.rollback({ to: 1 }, { by: 'somebody', reason: 'too slow' });
    await until('it is told', () => states().includes('rollback event'));
    expect(receiver.told.find(({ key }) => key === 'rollback')!.summary).equal(
      'revision 3 brings back the content of revision 1, by somebody: too slow',
    );
    expect(states()).include('pin firing');
  });

  it('run a command, with what it is about in its environment', async () => {
    const out = test().scratch.path('out');
    const script = `printf '%s|%s|%s\\n' "$HOTCONF_ALERT_KEY" "$HOTCONF_ALERT_STATE" "$HOTCONF_ALERT_SUMMARY" >> ${out}`;
    test().options.alerts = { command: ['/bin/sh', '-c', script] };
    await test().start();
    edit('database: { url: 3 }\n');
    await until('it ran twice', () => test().scratch.read('out').split('\n').length === 3);
    expect(test().scratch.read('out')).match(/^reload\|firing\|rejected, revision 1 stays: .*database\.url/m);
  });
});

describe('a place where alerts go', () => {
  const log = () => {};
  const alert = (state: Alert['state'], summary = 'a', key = 'k'): Alert => ({ key, state, summary, since: 'now' });
  const target = (send: (alert: Alert) => Promise<void>) =>
    new AlertTarget({ name: 'test', send, clock: systemClock, log, restMs: 40, firstWaitMs: 1 });

  it('is told the newest of what it could not be told in time', async () => {
    const told: string[] = [];
    let failures = 3;
    const place = target(async ({ summary }) => {
      if (failures-- > 0) throw new Error('not now');
      told.push(summary);
    });
    place.tell(alert('firing', 'first'));
    place.tell(alert('firing', 'second'));
    await until('it is told', () => told.length > 0);
    place.tell(alert('firing', 'second'));
    place.tell(alert('firing', 'third'));
    place.tell(alert('resolved'));
    await until('it is over', () => told.length === 2);
    expect(told).deep.equal(['second', 'a']);
    await place.stop();
  });

  it('is told of one thing though it does not take another', async () => {
    const told: string[] = [];
    const place = target(async ({ key }) => {
      if (key === 'bad') throw new Error('not this one');
      told.push(key);
    });
    place.tell(alert('firing', 'a', 'bad'));
    place.tell(alert('firing', 'a', 'good'));
    place.tell(alert('firing', 'a', 'better'));
    await until('the others are told', () => told.length === 2);
    await place.stop();
  });

  it('loses an alert that is refused for good, says so, and goes on', async () => {
    const told: string[] = [];
    const logged: string[] = [];
    const place = new AlertTarget({
      name: 'the webhook at a-host',
      clock: systemClock,
      log: (_level, event, message) => void logged.push(`${event}: ${message}`),
      send: async ({ key }) => {
        if (key === 'bad') throw new AbortError('it answered 400');
        told.push(key);
      },
    });
    place.tell(alert('firing', 'a', 'bad'));
    place.tell(alert('firing', 'a', 'good'));
    await until('the other is told', () => told.length > 0);
    expect(logged).deep.equal(['alert_lost: the webhook at a-host does not take an alert about bad: it answered 400']);
    await place.stop();
  });

  it('is not told that something is over of which it knows nothing', async () => {
    const told: string[] = [];
    const place = target(async ({ key, state }) => void told.push(`${key} ${state}`));
    place.tell(alert('resolved'));
    place.tell(alert('event', 'a', 'other'));
    await until('the other is told', () => told.length > 0);
    expect(told).deep.equal(['other event']);
    await place.stop();
  });
});

describe('what is to be told', () => {
  const record = (outcome: 'committed' | 'unchanged' | 'rejected', more = {}) =>
    ({
      kind: 'reload',
      record: { at: 'now', revision: 3, cause: 'file', ...more },
      outcome: { kind: outcome },
    }) as never;

  it('is that something was withdrawn, until its source says something else, or the same as what is served', () => {
    for (const [end, by] of [
      ['committed', {}],
      ['unchanged', {}],
    ] as const) {
      const told: string[] = [];
      const book = new AlertBook({ clock: systemClock, tell: ({ key, state }) => void told.push(`${key} ${state}`) });
      book.observe(record('committed', { cause: 'rollback', to: 1, reason: 'revision 2: a program rejects it' }));
      book.observe(record('unchanged', { pinned: 3 }));
      book.observe(record(end, by));
      expect(told, end).deep.equal(['rollback event', 'quarantine firing', 'quarantine resolved']);
    }
  });
});
