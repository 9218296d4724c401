import { connect as connectSocket } from 'node:net';
import { connect } from '../../client/index.ts';
import type { JsonObject } from '../../schemas/json.ts';
import { applyPatch } from '../../schemas/patch.ts';
import { now } from './figures.ts';
import { answer } from './raw-frames.ts';

// A process with many programs in it. The raw ones apply the same patch by the same code, and do nothing else.
// It tells its parent when all are there, and then for each round when the last had it.
const [kind, path, count] = process.argv.slice(2) as [string, string, string];
const programs = Number(count);
let arrived = 0;

function onArrival(): void {
  if (++arrived < programs) return;
  arrived = 0;
  process.send!(now());
}

// A listener's backlog has room for some hundreds at a time.
for (let opened = 0; opened < programs; opened += 50) {
  const batch = Array.from({ length: Math.min(50, programs - opened) }, () =>
    kind === 'raw' ? openRaw() : openHotconf(),
  );
  await Promise.all(batch);
}
process.send!('ready');

async function openHotconf(): Promise<void> {
  const config = await connect({ socket: path, timeoutMs: 20_000 });
  config.on('change', onArrival);
}

function openRaw(): Promise<void> {
  return new Promise((resolve) => {
    let kept = Buffer.alloc(0);
    let settings: JsonObject = {};
    const socket = connectSocket(path);
    socket.on('data', (piece) => {
      kept = Buffer.concat([kept, piece]);
      while (kept.length >= 4 && kept.length >= 4 + kept.readUInt32BE()) {
        const end = 4 + kept.readUInt32BE();
        const { settings: whole, operations } = JSON.parse(kept.subarray(4, end).toString());
        settings = whole ?? applyPatch(settings, operations)!;
        kept = kept.subarray(end);
        if (whole !== undefined) {
          resolve();
          continue;
        }
        onArrival();
        socket.write(answer);
      }
    });
  });
}
