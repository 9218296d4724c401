import { once } from 'node:events';
import { until } from '../support/until.ts';
import { endReceiver, type Sender, startHotconf, startRaw, startReceivers } from './fan-out-servers.ts';
import { ms, now, percentile, type Row, row, times } from './figures.ts';

const programs = 100;
const processes = 2;
const rounds = 600;

/** One key of a 32 KiB snapshot changes; until the last of 100 programs in two processes has it. */
export async function measureFanOut(): Promise<Row[]> {
  // In turns, so that both meet the same machine.
  const hotconf: number[] = [];
  const raw: number[] = [];
  for (let turn = 0; turn < 2; turn++) {
    raw.push(...(await runRounds('raw', await startRaw())));
    hotconf.push(...(await runRounds('hotconf', await startHotconf())));
  }
  const ratio = percentile(hotconf, 0.5) / percentile(raw, 0.5);
  return [
    row(`fan-out to the last of ${programs} programs, 32 KiB: p50`, ms(percentile(hotconf, 0.5)), '', true),
    row('... raw length-prefixed sockets, the same patch: p50', ms(percentile(raw, 0.5)), '', true),
    row('... ratio', times(ratio), '1.5 x', ratio <= 1.5),
  ];
}

/** Starts the receivers, runs the rounds, and returns for each the time until the last program had it. */
async function runRounds(kind: 'hotconf' | 'raw', sender: Sender): Promise<number[]> {
  const receivers = await startReceivers(kind, sender.path, programs, processes);
  // A connection is open for its program before it is accepted here.
  await until('all are connected', () => sender.connected() === programs);
  const samples: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    const last = Promise.all(receivers.map(async (receiver) => Number((await once(receiver, 'message'))[0])));
    const started = now();
    sender.publish(round);
    samples.push(Math.max(...(await last)) - started);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await Promise.all(receivers.map(endReceiver));
  await sender.stop();
  return samples.slice(rounds / 3);
}
