import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { expect } from 'chai';
import { RawProgram } from '../support/raw-program.ts';
import { until } from '../support/until.ts';
import { useDaemon } from '../support/use-daemon.ts';

/** Posts are kept as text. */
async function startHook() {
  const posts: string[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const piece of request.setEncoding('utf8')) text += piece;
    posts.push(text);
    response.writeHead(204).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return { posts, url: `http://127.0.0.1:${port}/`, end: () => server.close().closeAllConnections() };
}

describe('58 secrets in what programs say', () => {
  let hook: Awaited<ReturnType<typeof startHook>>;
  beforeEach(async () => {
    hook = await startHook();
  });
  afterEach(async () => {
    const { daemon, canaries } = test();
    const told = JSON.stringify([daemon?.reports.status(), daemon?.reports.history(), hook.posts]);
    for (const secret of canaries) expect(told.includes(secret), 'in status, history or webhook').equal(false);
    await test().stop();
    hook.end();
  });
  const test = useDaemon();
  const start = () => {
    test().options.alerts = { webhook: { url: hook.url } };
    return test().start();
  };
  const edit = (url: string, more: object = {}) =>
    test().scratch.write('secrets/app.yaml', JSON.stringify({ database: { url }, ...more }));
  /** One that holds no character which has another form in JSON or in a URL. */
  const secret = () => {
    const plain = test().canary().replaceAll(/\W/g, '');
    test().canaries.push(plain);
    return plain;
  };

  it('are found where one is the user, the host, the start, the middle or the end of another', async () => {
    const [user, password, host] = [secret(), secret(), secret()];
    const url = (name: string) => `postgres://${user}:${password}@${host}.internal/${name}`;
    const extra = { user, host, start: `${user}${password}`, middle: `a${password}z`, end: `${host}${password}` };
    edit(url('one'), { extra });
    await start();
    const said: string[] = [];
    const verify = async () => {
      if (said.length > 0) throw new Error(said.at(-1));
    };
    const config = await test().connect({ verify });
    for (const one of [url('two'), ...Object.values(extra)]) {
      said.push(
        `cannot use ${one}, nor ${one.slice(1)}, nor ${encodeURIComponent(one)}, nor ${JSON.stringify({ one })}`,
      );
      edit(url(`next-${said.length}`), { extra });
      await until('it is refused', () => test().logged('config_reload_failed').length >= said.length);
      config.reportFailure('failing', said.at(-1)!);
      await until('it is reported', () => test().logged('subscriber_report').length >= said.length);
    }
    await until('an alert tells of it', () => hook.posts.length > 0);
  });

  it('are found in what Node says of JSON, and in what another client passes on', async () => {
    const [inner, url] = [secret(), secret()];
    const document = JSON.stringify({ type: 'account', password: inner });
    edit(url, { extra: document });
    await start();
    const config = await test().connect();
    const broken = document.replace(`"${inner}`, inner);
    const quoted = await Promise.resolve(broken).then(JSON.parse).catch(String);
    expect(quoted).contain(inner.slice(0, 8));
    config.watch('database', () => JSON.parse(broken));
    test().canaries.push(inner.slice(0, 8));
    edit(`${url}-2`, { extra: document });
    await until('it is refused', () => test().logged('subscriber_rejected_snapshot').length === 1);
    expect(test().logged('subscriber_rejected_snapshot')[0]!.message).match(/rejects revision 2: SyntaxError$/);
    const raw = new RawProgram(test().socket).hello();
    await raw.next('snapshot');
    const words = [
      quoted,
      `bad: ${inner.slice(0, 12)}`,
      `${'.'.repeat(490)}${inner}`,
      `url ${encodeURIComponent(`${url}-2`)}`,
    ];
    for (const message of words) raw.send('report', { code: 'failing', message });
    await until('all are reported', () => test().logged('subscriber_report').length === words.length);
    raw.socket.destroy();
  });

  it('are found when they are of three rotations ago, before, while and after a rollback brings them back', async () => {
    test().options.lastKnownGood = { keyFile: './lkg.key' };
    test().scratch.write('lkg.key', `${randomBytes(32).toString('base64')}\n`);
    const urls = [secret(), secret(), secret(), secret()];
    edit(urls[0]!);
    await start();
    for (const [i, url] of urls.entries()) {
      edit(url);
      await until('it is committed', () => test().revision === i + 1);
    }
    const words = (url: string) => `cannot connect to ${url}, ${Buffer.from(url).toString('base64')}`;
    // After a restart the first is on disk only.
    await test().stop();
    await start();
    const config = await test()
      .connect({ verify: ({ database: { url } }) => Promise.reject(new Error(words(url))) })
      .catch(() => {});
    expect(config).equal(undefined);
    const raw = new RawProgram(test().socket).hello({ name: 'raw', capabilities: ['verify'] });
    const { nonce } = await raw.next<{ nonce: string }>('snapshot');
    raw.send('ack', { nonce, revision: 4, applyMs: 0 });
    const rollback = test()
      .daemon!.rollback({ to: 1 }, { by: 'operator' })
      .catch((error) => error);
    const candidate = await raw.next<{ nonce: string; revision: number }>('verify');
    const { nonce: tried, revision } = candidate;
    raw.send('nack', { nonce: tried, revision, code: 'verify_failed', paths: [], message: words(urls[0]!) });
    const { error } = (await rollback) as { error: Error };
    expect(error.message).contain('cannot connect to [redacted], [redacted]').not.contain(urls[0]);
    await test().daemon!.rollback({ to: 1, force: true }, { by: 'operator', reason: words(urls[0]!) });
    for (const url of urls) raw.send('report', { code: 'failing', message: words(url) });
    await until('all are reported', () => test().logged('subscriber_report').length === urls.length);
    raw.socket.destroy();
  });
});
