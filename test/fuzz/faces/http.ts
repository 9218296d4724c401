import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { askHttp, freePort } from '../../support/admin-http.ts';
import { type Face, must, planted } from '../face.ts';
import { FuzzDaemon } from '../fuzz-daemon.ts';

/** Shown by inputs; the same in every run. */
const tokens = { admin: 'admin-Zq7/x+0123456789abcdef0123456789', viewer: 'viewer-Zq7/x+0123456789abcdef0123456789' };
/** 417 is Node's own answer to an `Expect` that it does not know. */
const documented = [100, 200, 400, 401, 403, 404, 405, 408, 409, 413, 415, 417, 421, 422, 429, 431, 503, 507];
const idleMs = 15;
const cutMs = 150;

/** The operator's HTTP over TCP, and over the admin socket where an input begins with `@socket`. */
export async function httpFace(): Promise<Face> {
  const port = await freePort();
  const fuzzed = await FuzzDaemon.start((scratch) => {
    for (const [role, token] of Object.entries(tokens)) scratch.write(`${role}.token`, `${token}\n`);
    const files = Object.keys(tokens).map((role) => ({ file: `./${role}.token`, role, name: `the-${role}` }));
    return { admin: { http: { listen: `127.0.0.1:${port}`, tokens: files }, rateLimit: { reloads: 1000, per: '1s' } } };
  }, Object.values(tokens));
  const operator = { socketPath: fuzzed.socket('admin') };
  return {
    corpus: requests().map((text) => Buffer.from(text)),
    words: [
      ...[
        '@socket\n',
        'Host: h\r\n',
        'Transfer-Encoding: chunked\r\n',
        'Content-Length: 5\r\n',
        'Expect: 100-continue\r\n',
        '\r\n\r\n',
      ],
      ...[
        'GET ',
        'POST ',
        'HEAD ',
        'OPTIONS ',
        'CONNECT ',
        ' HTTP/1.0',
        ' HTTP/2.0',
        '/admin/',
        '/../',
        '//',
        '?path=',
        '%2e%2e',
        '%ff',
      ],
      ...[
        'Upgrade: h2c\r\nConnection: upgrade\r\n',
        'Origin: null\r\n',
        'X-Forwarded-For: 1\r\n',
        '5\r\nhello\r\n0\r\n\r\n',
        '{"to":1}',
      ],
      ...[
        `Authorization: Bearer ${tokens.admin}\r\n`,
        planted,
        '"dryRun":true',
        '"__proto__":{}',
        'Content-Type: application/json\r\n',
      ],
    ],
    modules: /^daemon\/admin\//,
    hasFeedback: false,
    async try(input) {
      const text = input.toString('latin1').replaceAll('{port}', String(port));
      const isSocket = text.startsWith('@socket\n');
      const bytes = Buffer.from(isSocket ? text.slice('@socket\n'.length) : text, 'latin1');
      const answer = await exchange(isSocket ? { path: operator.socketPath } : { port, host: '127.0.0.1' }, bytes);
      for (const [, status] of answer.matchAll(/^HTTP\/1\.1 (\d+)/gm))
        must(documented.includes(Number(status)), `an answer has the status ${status}`);
      fuzzed.expectNoSecret('an answer', answer);
      fuzzed.expectQuietLog();
    },
    async check() {
      const isAlive = async () => (await askHttp(operator, '/livez')).status === 200;
      must(await isAlive().catch(() => false), '/livez does not answer');
      // An input may have gone back to an old revision, and pinned it.
      await askHttp(operator, '/admin/unpin', { method: 'POST', body: {} });
      await fuzzed.expectHonestServed();
    },
    close: () => fuzzed.close(),
  };
}

type Where = { readonly path: string } | { readonly port: number; readonly host: string };

/** Sends bytes and returns what comes. Who waits for the rest of a request is hung up on. */
async function exchange(where: Where, bytes: Buffer): Promise<string> {
  const socket = connect(where);
  const state = { text: '', isClosed: false, last: performance.now() };
  socket.on('data', (piece) => {
    state.text += piece.toString('latin1');
    state.last = performance.now();
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    state.isClosed = true;
  });
  socket.write(bytes);
  while (!state.isClosed && performance.now() - state.last < cutMs) {
    if (performance.now() - state.last > idleMs) socket.end();
    await sleep(1);
  }
  socket.destroy();
  return state.text;
}

function requests(): string[] {
  const request = (line: string, token: string, body?: object, host = '127.0.0.1:{port}') => {
    const text = body === undefined ? '' : JSON.stringify(body);
    const content = body === undefined ? '' : `Content-Type: application/json\r\nContent-Length: ${text.length}\r\n`;
    return `${line} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\n${content}Connection: close\r\n\r\n${text}`;
  };
  const pages = ['/', '/livez', '/readyz', '/healthz', '/metrics', '/admin/events', '/nothing'];
  const reads = ['summary', 'status', 'history?limit=1', 'clients', 'config', 'explain?path=database.url', 'history'];
  const changes: readonly [string, object][] = [
    ['reload-config', { reason: `because ${planted}` }],
    ['reload-config', { dryRun: true, acceptMissing: true, noVerify: false }],
    ['rollback', { to: 1, expect: 1, force: true, reason: 'r' }],
    ['unpin', {}],
    ['rotate', { secret: 'key', value: 'YQ==', at: 'llm.key' }],
  ];
  const all = [
    ...[...pages, ...reads.map((name) => `/admin/${name}`)].map((path) => request(`GET ${path}`, tokens.viewer)),
    ...changes.map(([name, body]) => request(`POST /admin/${name}`, tokens.admin, body)),
  ];
  return [...all, ...all.map((text) => `@socket\n${text.replace(/Authorization: .*\r\n/, '')}`)];
}
