import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Snapshot } from '../../daemon/model/snapshot.ts';
import { ViewFilter } from '../../daemon/model/view-filter.ts';
import { systemClock } from '../../daemon/ops/clock.ts';
import { Allowances } from '../../daemon/serve/allowance.ts';
import { createFrameCheck } from '../../daemon/serve/check-frame.ts';
import { Doorkeeper } from '../../daemon/serve/doorkeeper.ts';
import { View } from '../../daemon/serve/view.ts';
import { ViewServer } from '../../daemon/serve/view-server.ts';
import { Digester } from '../../schemas/digest.ts';
import { deepFreeze, type JsonObject } from '../../schemas/json.ts';
import { limits } from '../support/limits.ts';
import { Scratch } from '../support/scratch.ts';
import { answer, frameOf, patchOf } from './raw-frames.ts';

/** Something that sends one changed key of 32 KiB of settings to many programs, and hears their answers. */
export interface Sender {
  readonly path: string;
  readonly connected: () => number;
  publish(round: number): void;
  /** Called for each program that has answered. */
  onAnswer: () => void;
  stop(): Promise<void>;
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

/** The daemon's side of delivery, as it is. */
export async function startHotconf(): Promise<Sender> {
  const scratch = new Scratch();
  const path = scratch.path('s');
  const view = new View('default', new ViewFilter(['**'], []));
  const doors = { file: '', views: [], limits: { ...limits, clients: 4_000, clientsPerUid: 4_000 } };
  const server = new ViewServer({
    view,
    path,
    rights: { mode: 0o600 },
    doorkeeper: new Doorkeeper({ ...doors, peerAuth: 'preferred' }, 4_000),
    allowances: new Allowances(limits, systemClock, () => {}),
    maxFrameBytes: 2 ** 24,
    verifyMs: 10_000,
    checkFrame: createFrameCheck(),
    clock: systemClock,
    log: () => {},
    state: () => ({ kind: 'ready', since: '', sources: [] }),
    mayRotate: false,
    answer: async () => null,
    onEvent: ({ kind }) => kind === 'accepted' && sender.onAnswer(),
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
    view.publish({
      settings,
      parts: [],
      epoch: 'e',
      revision: round + 1,
      digest: digester.digest(settings, before),
      committedAt: new Date().toISOString(),
      cause: 'file',
      changed: ['part3.key7'],
      removed: [],
    } as Snapshot);
    before = settings;
    server.offer();
  };
  const sender: Sender = {
    path,
    publish,
    connected: () => server.sessions.length,
    onAnswer: () => {},
    async stop() {
      await server.stop();
      scratch.remove();
    },
  };
  publish(0);
  await server.start();
  return sender;
}

/** Length-prefixed JSON on bare sockets: the least that could do the same. */
export async function startRaw(): Promise<Sender> {
  const scratch = new Scratch();
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      // Answers have one length.
      for (let i = 0; i < bytes.length; i += answer.length) sender.onAnswer();
    });
    socket.write(frameOf({ settings: settingsOf(0) }));
  }).listen(scratch.path('s'));
  await once(server, 'listening');
  const sender: Sender = {
    path: scratch.path('s'),
    connected: () => sockets.length,
    onAnswer: () => {},
    publish(round) {
      const frame = frameOf(patchOf(round));
      for (const socket of sockets) socket.write(frame);
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      scratch.remove();
    },
  };
  return sender;
}

/** Processes of programs that receive; `kind` says how. Resolves when all have said that they are ready. */
export async function startReceivers(
  kind: 'hotconf' | 'raw',
  path: string,
  programs: number,
  processes: number,
): Promise<ChildProcess[]> {
  const receivers = Array.from({ length: processes }, () =>
    fork(join(import.meta.dirname, 'fan-out-receiver.ts'), [kind, path, String(programs / processes)]),
  );
  await Promise.all(receivers.map((receiver) => once(receiver, 'message')));
  return receivers;
}

export async function endReceiver(receiver: ChildProcess): Promise<void> {
  receiver.kill('SIGKILL');
  await once(receiver, 'exit');
}
