import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Snapshot } from '../../daemon/model/snapshot.ts';
import { ViewFilter } from '../../daemon/model/view-filter.ts';
import { systemClock } from '../../daemon/ops/clock.ts';
import { createFrameCheck } from '../../daemon/serve/check-frame.ts';
import { Doorkeeper } from '../../daemon/serve/doorkeeper.ts';
import { View } from '../../daemon/serve/view.ts';
import { ViewServer } from '../../daemon/serve/view-server.ts';
import { Digester } from '../../schemas/digest.ts';
import { deepFreeze, type JsonObject } from '../../schemas/json.ts';
import { limits } from '../support/limits.ts';
import { Scratch } from '../support/scratch.ts';
import { until } from '../support/until.ts';
import { ms, now, percentile, type Row, row, times } from './figures.ts';

const programs = 100;
const processes = 2;
const rounds = 600;
type Publish = (round: number) => void;

/** One key of a 32 KiB snapshot changes; until the last of 100 programs in two processes has it. */
export async function measureFanOut(): Promise<Row[]> {
  // In turns, so that both meet the same machine.
  const hotconf: number[] = [];
  const raw: number[] = [];
  for (let turn = 0; turn < 2; turn++) {
    raw.push(...(await withRaw()));
    hotconf.push(...(await withHotconf()));
  }
  const ratio = percentile(hotconf, 0.5) / percentile(raw, 0.5);
  return [
    row(`fan-out to the last of ${programs} programs, 32 KiB: p50`, ms(percentile(hotconf, 0.5)), '', true),
    row('... raw length-prefixed sockets, the same patch: p50', ms(percentile(raw, 0.5)), '', true),
    row('... ratio', times(ratio), '1.5 x', ratio <= 1.5),
  ];
}

const settingsOf = (round: number): JsonObject =>
  Object.fromEntries(
    Array.from({ length: 32 }, (_, part) => [
      `part${part}`,
      Object.fromEntries(
        Array.from({ length: 16 }, (_, i) => [`key${i}`, `value-${part}-${i}-${round}`.padEnd(48, '.')]),
      ),
    ]),
  );

async function withHotconf(): Promise<number[]> {
  const scratch = new Scratch();
  const path = scratch.path('s');
  const view = new View('default', new ViewFilter(['**'], []));
  const silent = () => {};
  const server = new ViewServer({
    view,
    path,
    rights: { mode: 0o600 },
    doorkeeper: new Doorkeeper(
      { file: '', views: [], limits: { ...limits, clients: 200, clientsPerUid: 200 }, peerAuth: 'preferred' },
      200,
    ),
    maxFrameBytes: 2 ** 24,
    verifyMs: 10_000,
    checkFrame: createFrameCheck(),
    clock: systemClock,
    log: silent,
    state: () => ({ kind: 'ready', since: '', sources: [] }),
    mayRotate: false,
    answer: async () => null,
    onEvent: silent,
    clean: (text) => text,
  });
  const digester = new Digester();
  let before: JsonObject | undefined;
  const publish = (round: number) => {
    // As the merge gives it: what did not change is shared.
    const settings = deepFreeze(
      before
        ? { ...before, part3: { ...(before.part3 as JsonObject), key7: `round-${round}`.padEnd(48, '.') } }
        : settingsOf(round),
    );
    const snapshot = {
      settings,
      parts: [],
      epoch: 'e',
      revision: round + 1,
      digest: digester.digest(settings, before),
      committedAt: new Date().toISOString(),
      cause: 'file',
      changed: ['part3.key7'],
      removed: [],
    } as Snapshot;
    before = settings;
    view.publish(snapshot);
    server.offer();
  };
  publish(0);
  await server.start();
  try {
    return await runRounds('hotconf', path, publish, () => server.sessions.length);
  } finally {
    await server.stop();
    scratch.remove();
  }
}

async function withRaw(): Promise<number[]> {
  const scratch = new Scratch();
  const path = scratch.path('s');
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.write(frameOf({ settings: settingsOf(0) }));
  }).listen(path);
  await once(server, 'listening');
  const send = (round: number) => {
    const frame = frameOf(patchOf(round));
    for (const socket of sockets) socket.write(frame);
  };
  try {
    return await runRounds('raw', path, send, () => sockets.length);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
    scratch.remove();
  }
}

/** The same fields as hotconf's patch frame. */
function patchOf(round: number) {
  const head = {
    nonce: 'x'.repeat(12),
    epoch: 'x'.repeat(36),
    revision: round + 1,
    digest: 'x'.repeat(16),
    committedAt: new Date().toISOString(),
    cause: 'file',
    changed: ['part3.key7'],
    removed: [],
  };
  return {
    ...head,
    base: round,
    operations: [{ op: 'add', path: '/part3/key7', value: `round-${round}`.padEnd(48, '.') }],
  };
}

function frameOf(data: unknown): Buffer {
  const body = Buffer.from(JSON.stringify(data));
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  return Buffer.concat([head, body]);
}

/** Starts the receivers, runs the rounds, and returns for each the time until the last program had it. */
async function runRounds(
  kind: 'hotconf' | 'raw',
  path: string,
  publish: Publish,
  connected: () => number,
): Promise<number[]> {
  const receivers = Array.from({ length: processes }, () =>
    fork(join(import.meta.dirname, 'fan-out-receiver.ts'), [kind, path, String(programs / processes)]),
  );
  await Promise.all(receivers.map((receiver) => once(receiver, 'message')));
  // A connection is open for its program before it is accepted here.
  await until('all are connected', () => connected() === programs);
  const samples: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    const last = Promise.all(receivers.map(async (receiver) => Number((await once(receiver, 'message'))[0])));
    const started = now();
    publish(round);
    samples.push(Math.max(...(await last)) - started);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await Promise.all(receivers.map(end));
  return samples.slice(rounds / 3);
}

async function end(receiver: ChildProcess): Promise<void> {
  receiver.kill();
  await once(receiver, 'exit');
}
