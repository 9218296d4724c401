import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { compileParts, readOwnSchema } from '../../../daemon/ops/own-schemas.ts';
import { decodeFrame, encodeFrame, FrameSplitter } from '../../../schemas/wire.ts';
import { fuzzFrames } from '../../support/fuzz-frames.ts';
import { until } from '../../support/until.ts';
import { type Face, Finding, must, planted } from '../face.ts';
import { FuzzDaemon } from '../fuzz-daemon.ts';

const toClient = ['welcome', 'snapshot', 'patch', 'verify', 'state', 'ping', 'pong', 'response', 'goodbye', 'error'];
const idleMs = 5;

/** Programs on the sockets of a view with everything and of one with a part. An input is what one connection sends. */
export async function ipcFace(): Promise<Face> {
  const fuzzed = await FuzzDaemon.start();
  const partOf = compileParts(readOwnSchema('wire'));
  const check = (text: string) => {
    const { type, data } = decodeFrame(text);
    must(toClient.includes(type), 'a frame to a program is of no documented type');
    must(partOf(type)(data), `a frame ${type} is not as wire.schema.json says`);
  };
  return {
    corpus: [...conversations().map((text) => Buffer.from(text)), ...sometimes(fuzzFrames(1), 40)],
    words: [
      ...[
        '\f',
        '"nonce":"x"',
        '"revision":0',
        '"capabilities":["verify","patch"]',
        '"protocol":1',
        '"id":"1"',
        '"kind":"config"',
      ],
      ...[
        '@default\n',
        '@web\n',
        '"type":"ack"',
        '"type":"request"',
        planted,
        '"paths":["database.url"]',
        '"__proto__":{}',
        ...frames(),
      ],
    ],
    modules:
      /^(daemon\/serve\/(session|view-server|frame-parser|check-frame|ipc-socket|doorkeeper|open-requests|pulse|slot)|daemon\/admin\/program-requests|schemas\/wire)/,
    hasFeedback: false,
    async try(input) {
      const [, view = 'default', rest] = /^(?:@(default|web)\n)?([\s\S]*)$/.exec(input.toString('latin1'))!;
      const text = await converse(fuzzed.socket(view), Buffer.from(rest!, 'latin1'), input.length % 2 === 0);
      if (view === 'web') fuzzed.expectNoSecret('what a program of another view is sent', text);
      for (const frame of new FrameSplitter(Number.MAX_SAFE_INTEGER).push(text)) check(frame);
      fuzzed.expectQuietLog();
    },
    check: () => fuzzed.expectHonestServed(),
    close: () => fuzzed.close(),
  };
}

/** Sends bytes and returns what comes; some programs hang up at once. */
async function converse(path: string, bytes: Buffer, isPatient: boolean): Promise<string> {
  const state = { text: '', isClosed: false, last: performance.now() };
  const socket: Socket = connect(path).setEncoding('utf8');
  socket.on('data', (piece: unknown) => {
    state.text += piece;
    state.last = performance.now();
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    state.isClosed = true;
  });
  socket.write(bytes);
  while (isPatient && !state.isClosed && performance.now() - state.last < idleMs) await sleep(1);
  socket.end();
  await until('it is closed', () => state.isClosed, 20_000).catch(() => {
    throw new Finding('a connection that was ended is not closed');
  });
  return state.text;
}

const hello = (capabilities: readonly string[] = []) =>
  encodeFrame('hello', { protocol: 1, name: 'fuzz', pid: 1, library: 'fuzz', capabilities });

function frames(): string[] {
  const nonce = 'n';
  return [
    encodeFrame('ack', { nonce, revision: 1, applyMs: 1 }),
    encodeFrame('nack', { nonce, revision: 1, code: 'rejected', paths: ['database.url'], message: `no ${planted}` }),
    encodeFrame('report', { code: 'failed', message: `no ${planted}`, recovered: false }),
    encodeFrame('resync', {}),
    encodeFrame('ping', { revision: 1 }),
    encodeFrame('pong', { revision: 1 }),
    ...['reload', 'validate', 'summary', 'config'].map((kind) =>
      encodeFrame('request', { id: kind, kind, reason: 'r' }),
    ),
    encodeFrame('request', { id: '5', kind: 'rotate', secret: 'key', value: 'YQ==' }),
    encodeFrame('goodbye', { code: 'done' }),
  ];
}

function conversations(): string[] {
  const last = { epoch: 'e', revision: 1, digest: '0'.repeat(16) };
  const again = encodeFrame('hello', { protocol: 1, name: 'f', pid: 1, library: 'f', capabilities: ['patch'], last });
  const all = frames();
  return [
    ...all.flatMap((frame) => [`${hello()}${frame}`, `@web\n${hello()}${frame}`]),
    ...[
      `${hello()}${all.join('')}`,
      `@web\n${hello(['verify', 'patch'])}${all.join('')}`,
      again,
      hello(['verify']),
      all[0]!,
    ],
  ];
}

function sometimes(all: Iterable<Buffer>, count: number): Buffer[] {
  return Iterator.from(all).take(count).toArray();
}
