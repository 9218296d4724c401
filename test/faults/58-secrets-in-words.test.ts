import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { expect } from 'chai';
import { hotconf } from '../support/daemon-process.ts';
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
    test().options.alerts = { webhook: { url: hook.url } };
  });
  afterEach(async () => {
    const { daemon, canaries } = test();
    const told = JSON.stringify([daemon?.reports.status(), daemon?.reports.history(), hook.posts]);
    for (const secret of canaries) expect(told.includes(secret), 'in status, history or webhook').equal(false);
    await test().stop();
    hook.end();
  });
  const test = useDaemon();
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
    await test().start();
    let said = '';
    await test()
      .connect({ verify: () => Promise.reject(new Error(said)) })
      .catch(() => {});
    const program = await test().connect();
    program.watch('database', () => Promise.reject(new Error(said)));
    for (const [i, one] of [url('two'), ...Object.values(extra)].entries()) {
      said = `cannot use ${one}, nor ${one.slice(1)}, nor ${encodeURIComponent(one)}, nor ${JSON.stringify(one)}`;
      edit(url(`next-${i}`), { extra });
      await until(
        'it is refused',
        () => test().logged('config_rejected').length > i || test().logged('subscriber_rejected').length > i,
      );
    }
  });
});
