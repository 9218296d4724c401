import { connect } from 'node:net';
import type { AdminHttp } from './admin-http.ts';
import { mulberry32 } from './random.ts';

const routes = ['/', '/livez', '/readyz', '/healthz', '/metrics', '/nothing', '/admin/..//summary', '/%', '*', ''];
const reads = ['summary', 'status', 'history', 'history?limit=1', 'clients', 'config', 'explain?path=database.url'];
const changes = ['reload-config', 'rollback', 'unpin', 'rotate'];
const values: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  1,
  2,
  1e308,
  '',
  'x'.repeat(600),
  '\u0000',
  '💥',
  [],
  {},
  [[[[]]]],
];
const names = ['reason', 'dryRun', 'acceptMissing', 'to', 'expect', 'secret', 'value', 'at', '__proto__', ''];

/** Requests that are nearly right, not right at all, or cut to pieces; the same for the same seed. */
function* requests(seed: number, { port, tokens }: AdminHttp): Generator<Buffer> {
  const random = mulberry32(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
  const maybe = (share: number) => random() < share;
  const body = () => {
    if (maybe(0.1)) return pick(['{', 'null', '[]', '"', '{"a":', '[['.repeat(500)]);
    const entries = Array.from({ length: Math.floor(random() * 4) }, () => [pick(names), pick(values)]);
    return JSON.stringify(Object.fromEntries(entries));
  };
  for (;;) {
    const isChange = maybe(0.5);
    const path = maybe(0.2) ? pick(routes) : `/admin/${pick(isChange ? changes : reads)}`;
    const text = isChange ? body() : '';
    const lines = [
      `${maybe(0.9) ? (isChange ? 'POST' : 'GET') : pick(['PUT', 'HEAD', 'OPTIONS', 'TRACE', 'FOO', ''])} ${path} HTTP/${pick(['1.1', '1.1', '1.1', '1.0', '2.0'])}`,
      `Host: ${maybe(0.95) ? `127.0.0.1:${port}` : pick(['evil', '', '[::1'])}`,
      `Authorization: Bearer ${maybe(0.95) ? pick(Object.values(tokens)) : pick(['', 'x', '%%%', 'a'.repeat(3_000)])}`,
      `Content-Type: ${maybe(0.9) ? 'application/json' : pick(['text/plain', '', 'application/json; charset=x', ';'])}`,
      `Content-Length: ${maybe(0.95) ? Buffer.byteLength(text) : pick(['-1', '0', '99999', 'x'])}`,
      ...(maybe(0.05)
        ? [
            pick([
              'Transfer-Encoding: chunked',
              'X-Forwarded-For: 1',
              'Origin: null',
              'Expect: 100-continue',
              'Upgrade: h2c',
            ]),
          ]
        : []),
      'Connection: close',
      '',
      text,
    ];
    const bytes = Buffer.from(lines.join('\r\n'));
    if (maybe(0.15))
      for (let i = 0; i < 3; i++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    yield maybe(0.1) ? bytes.subarray(0, Math.floor(random() * bytes.length)) : bytes;
  }
}

/** Sends such requests for a time, some at a time, and counts the answers by their status. */
export async function fuzzHttp(http: AdminHttp, seed: number, forMs: number) {
  const answers = new Map<number, number>();
  const until = performance.now() + forMs;
  const stream = requests(seed, http);
  let sent = 0;
  const worker = async () => {
    while (performance.now() < until) {
      sent++;
      const [, status] = /^HTTP\/1\.1 (\d+)/.exec(await exchange(http.port, stream.next().value!)) ?? [];
      if (status) answers.set(Number(status), (answers.get(Number(status)) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  return { answers, sent };
}

/** What comes back; whoever is sent half a request gives up soon. */
function exchange(port: number, bytes: Buffer): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ port, host: '127.0.0.1' }, () => void socket.write(bytes));
    socket.setTimeout(250, () => socket.destroy());
    socket.on('data', (piece) => {
      text += piece.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
  });
}
