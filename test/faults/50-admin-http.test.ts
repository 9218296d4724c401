import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { AdminHttp, askHttp, freePort } from '../support/admin-http.ts';
import { fuzzHttp } from '../support/fuzz-http.ts';
import { until } from '../support/until.ts';
import { useDaemon } from '../support/use-daemon.ts';

describe("fault 50: what comes over the operator's HTTP", () => {
  const test = useDaemon();
  let http: AdminHttp;
  const sockets: Socket[] = [];
  beforeEach(async () => {
    http = await AdminHttp.set(test());
    await test().start();
  });
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });

  /** Sends bytes as they are; the answer's bytes come as they come. */
  const raw = (...pieces: readonly string[]) => {
    const socket = connect({ port: http.port, host: '127.0.0.1' }).setEncoding('latin1');
    const heard = { text: '', isClosed: false, socket };
    socket.on('data', (piece) => {
      heard.text += piece;
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      heard.isClosed = true;
    });
    for (const piece of pieces) socket.write(piece, 'latin1');
    sockets.push(socket);
    return heard;
  };
  const operatorAnswers = async () => {
    const { status } = await askHttp({ socketPath: test().scratch.path('run/admin.sock') }, '/admin/summary');
    expect(status).equal(200);
  };
  const refusals = () => test().logged('admin_request_refused');

  it('50: a wrong Host is 421, a relayed request 400, another origin 403, and each is logged with its reason', async () => {
    const cases: readonly [number, string, Record<string, string>][] = [
      [421, 'wrong_host', { host: 'evil.example' }],
      [421, 'wrong_host', { host: `evil.example:${http.port}` }],
      [421, 'wrong_host', { host: '127.0.0.1' }],
      [400, 'relayed', { 'x-forwarded-for': '10.0.0.1' }],
      [400, 'relayed', { forwarded: 'for=10.0.0.1' }],
      [403, 'cross_origin', { origin: 'http://evil.example' }],
      [403, 'cross_origin', { origin: 'null' }],
      [403, 'cross_origin', { origin: `https://127.0.0.1:${http.port}` }],
      [403, 'cross_origin', { 'sec-fetch-site': 'cross-site' }],
      [403, 'cross_origin', { 'sec-fetch-site': 'same-site' }],
    ];
    for (const [status, code, headers] of cases) {
      const answer = await http.post('/admin/reload-config', {}, { headers });
      expect([answer.status, answer.body.code], JSON.stringify(headers)).deep.equal([status, code]);
    }
    expect(refusals().map(({ errorType }) => errorType)).deep.equal(cases.map(([, code]) => code));
    expect(test().logged('config_reload_started')).length(1);
    const right: readonly Record<string, string>[] = [
      { host: `localhost:${http.port}` },
      { origin: http.origin, 'sec-fetch-site': 'same-origin' },
    ];
    for (const headers of right) expect((await http.post('/admin/reload-config', {}, { headers })).status).equal(200);
  });

  it('50: two Host headers, and a target that is no path, are 400 on every face', async () => {
    const port = await freePort();
    await test().stop();
    test().options.admin = { ...(test().options.admin as object), metrics: { listen: `127.0.0.1:${port}` } };
    await test().start();
    const say = async (where: NetConnectOpts, target: string, hosts: readonly string[]) => {
      const socket = connect(where);
      const lines = [
        `GET ${target} HTTP/1.1`,
        ...hosts.map((host) => `Host: ${host}`),
        `Authorization: Bearer ${http.tokens.viewer}`,
        'Connection: close',
      ];
      socket.write(`${lines.join('\r\n')}\r\n\r\n`);
      return Number(/^HTTP\/1\.1 (\d+)/.exec(await text(socket))![1]);
    };
    const host = `127.0.0.1:${http.port}`;
    const faces: readonly (readonly [NetConnectOpts, string])[] = [
      [{ host: '127.0.0.1', port: http.port }, '/admin/summary'],
      [{ path: test().scratch.path('run/admin.sock') }, '/admin/summary'],
      [{ host: '127.0.0.1', port }, '/livez'],
    ];
    for (const [face, path] of faces) {
      expect(await say(face, path, [host])).equal(200);
      expect(await say(face, path, [host, 'evil.example'])).equal(400);
      expect(await say(face, path, [host, host])).equal(400);
      for (const target of [`http://evil.example${path}`, `http://${host}${path}`])
        expect(await say(face, target, [host]), target).equal(400);
    }
  });

  it('50: a path that is no valid one is answered like every refusal, logged, and not repeated', async () => {
    const { status, body, headers, text } = await http.get('/admin/explain-hunter22%ff');
    expect({ status, body }).deep.equal({
      status: 400,
      body: { status: 'error', code: 'bad_url', message: 'the path of the request is not a valid one' },
    });
    expect(headers).include({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    expect(text + JSON.stringify(test().log)).not.contain('hunter22');
    expect(refusals().map(({ errorType }) => errorType)).deep.equal(['bad_url']);
  });

  it('50: no token, a wrong one and a flood of wrong ones; the right one still comes in', async () => {
    expect((await http.get('/admin/summary', { token: '' })).body.code).equal('no_token');
    const guess = () => http.get('/admin/summary', { token: 'a'.repeat(48) });
    const answers = await Promise.all(Array.from({ length: 14 }, guess));
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).deep.equal([...Array(10).fill(401), ...Array(4).fill(429)]);
    expect(Number(answers.find(({ status }) => status === 429)!.headers['retry-after'])).within(1, 60);
    expect((await http.get('/admin/summary')).status).equal(200);
    for (const authorization of [
      'Basic YTpi',
      'Bearer',
      'Bearer  ',
      `Bearer ${http.tokens.viewer} x`,
      http.tokens.viewer,
    ])
      expect((await http.get('/admin/summary', { token: '', headers: { authorization } })).status, authorization).oneOf(
        [401, 429],
      );
  });

  it('50: bodies that are no JSON, not said to be JSON, too large, deep, or not what the route takes', async () => {
    const post = (body: string | object, type = 'application/json', route = 'reload-config') =>
      http.post(`/admin/${route}`, body, { headers: { 'content-type': type } });
    expect((await post('{"reason":')).body).include({ message: 'the body is not JSON' });
    expect((await post('')).status, 'nothing to add').equal(200);
    expect((await post('{}', 'text/plain')).status).equal(415);
    expect((await post('reason=x', 'application/x-www-form-urlencoded')).status).equal(415);
    expect((await post({ reason: 'x'.repeat(20_000) })).status).equal(413);
    expect((await post(`${'['.repeat(8_000)}${']'.repeat(8_000)}`)).status).equal(400);
    expect((await post('{"__proto__":{"dryRun":true}}')).status).equal(400);
    for (const body of ['null', '[]', '"x"', '3', '{"reason":3}', '{"unknown":1}', '{"dryRun":"yes"}'])
      expect((await post(body)).status, body).equal(400);
    expect((await post({ to: 0 }, undefined, 'rollback')).status).equal(400);
    expect((await post({ to: 1e300 }, undefined, 'rollback')).status).equal(400);
    expect((await post({ to: 99 }, undefined, 'rollback')).status).equal(404);
    expect((await post({ secret: 'a', value: 'not base64!' }, undefined, 'rotate')).status).equal(400);
    expect((await post({ secret: 'a', value: 'YQ==' }, undefined, 'rotate')).status).equal(404);
    expect(test().logged('admin_request_failed')).deep.equal([]);
  });

  it('50: routes that are not there, and wrong methods', async () => {
    for (const path of ['/nothing', '/admin', '/admin/', '/admin/summary/', '/../etc/passwd', '/admin/%00', '//'])
      expect((await http.get(path)).status, path).oneOf([400, 404]);
    expect((await http.get('/nothing', { token: '' })).status, 'a stranger is not told').equal(401);
    expect(refusals().at(-1)).include({ errorType: 'no_token' });
    const wrong = await http.get('/admin/reload-config', { token: http.tokens.admin });
    expect([wrong.status, wrong.headers.allow]).deep.equal([405, 'POST']);
    expect(refusals().at(-1)).include({ errorType: 'wrong_method', by: 'the-admin' });
    for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      const { status, headers } = await http.get('/admin/summary', { method });
      expect([status, headers.allow], method).deep.equal([405, 'GET']);
    }
    expect((await http.get('/admin/explain')).status).equal(400);
    expect((await http.get('/admin/explain?path=no.such')).status).equal(404);
    expect((await http.get('/admin/history?limit=-1')).status).equal(400);
  });

  it('50: smuggled requests are refused, and never heard', async () => {
    const head = `POST /admin/reload-config HTTP/1.1\r\nHost: 127.0.0.1:${http.port}\r\nAuthorization: Bearer ${http.tokens.admin}\r\nContent-Type: application/json\r\n`;
    const inner = `POST /admin/unpin HTTP/1.1\r\nHost: 127.0.0.1:${http.port}\r\nAuthorization: Bearer ${http.tokens.admin}\r\n\r\n`;
    const smuggled = [
      `${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
      `${head}Content-Length: 2\r\nContent-Length: 200\r\n\r\n{}${inner}`,
      `${head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${inner}`,
      `${head}Content-Length : 2\r\n\r\n{}${inner}`,
      `GET /livez HTTP/1.1\nHost: 127.0.0.1:${http.port}\nX: y\r\n\r\n`,
      'GET / HTTP/1.1\r\n\r\n',
      'hello\r\n\r\n',
    ];
    for (const bytes of smuggled) {
      const heard = raw(bytes);
      await until('it is cut', () => heard.isClosed);
      expect(heard.text, bytes).match(/^HTTP\/1\.1 (400|421) /);
    }
    expect(
      test()
        .daemon!.reports.history()
        .filter(({ cause }) => cause === 'operator'),
    ).deep.equal([]);
    expect(refusals().length).at.least(smuggled.length - 1);
  });

  it('50: headers without an end, bodies byte by byte: cut off in time, with 431 and 408', async function () {
    this.timeout(40_000);
    const large = raw(`GET /livez HTTP/1.1\r\nHost: 127.0.0.1:${http.port}\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`);
    await until('it is cut', () => large.isClosed);
    expect(large.text).match(/^HTTP\/1\.1 431 /);
    const head = raw('GET /livez HTTP/1.1\r\nHost: ');
    const body = raw(
      `POST /admin/reload-config HTTP/1.1\r\nHost: 127.0.0.1:${http.port}\r\nAuthorization: Bearer ${http.tokens.admin}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
    );
    const dribble = setInterval(() => body.socket.writable && body.socket.write(' '), 200);
    try {
      await until('the slow head is cut', () => head.isClosed, 15_000);
      await until('the slow body is cut', () => body.isClosed, 20_000);
    } finally {
      clearInterval(dribble);
    }
    expect(head.text).match(/^HTTP\/1\.1 408 /);
    expect(body.text).match(/^HTTP\/1\.1 408 /);
  });

  it("50: a thousand connections leave the operator's socket as it was", async function () {
    this.timeout(30_000);
    const config = await test().connect();
    for (let i = 0; i < 1_000; i++) raw('GET /livez HTTP/1.1\r\n');
    await until('most are dropped', () => sockets.filter((socket) => socket.destroyed).length > 900);
    await operatorAnswers();
    test().scratch.write('secrets/app.yaml', 'database: { url: url-2 }\n');
    await until('programs are served', () => config.settings.database.url === 'url-2');
    for (const socket of sockets.splice(0)) socket.destroy();
    await until('it answers again', async () => (await http.get('/livez').catch(() => undefined))?.status === 200);
    expect(refusals().some(({ errorType }) => errorType === 'too_many_connections')).equal(true);
  });

  it('50: seeded nonsense gets an answer below 500, or is cut off, and nothing else', async function () {
    const seed = Number(process.env.HOTCONF_SEED ?? Date.now() % 100_000);
    const seconds = Number(process.env.HOTCONF_FUZZ_SECONDS ?? 4);
    this.timeout(seconds * 1_000 + 30_000);
    const { answers, sent } = await fuzzHttp(http, seed, seconds * 1_000);
    const words = `HOTCONF_SEED=${seed}, ${sent} requests: ${JSON.stringify([...answers])}`;
    expect(
      [...answers.keys()].filter((status) => status >= 500 && status !== 503),
      words,
    ).deep.equal([]);
    expect(test().logged('admin_request_failed'), words).deep.equal([]);
    expect(answers.get(200) ?? 0, words).greaterThan(0);
    await operatorAnswers();
  });
});
