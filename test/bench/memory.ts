import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BenchDaemon } from './bench-daemon.ts';
import { ms, percentile, type Row, row } from './figures.ts';

const megabytes = (value: number) => `${value.toFixed(1)} MB`;

/** What the daemon takes, alone and with many idle programs, and what a program takes. */
export async function measureMemory(): Promise<Row[]> {
  return [...(await measureDaemon()), ...measureClient()];
}

async function measureDaemon(): Promise<Row[]> {
  const readyTimes: number[] = [];
  const resident: number[] = [];
  let idle = 0;
  for (let run = 0; run < 7; run++) {
    const example = join(import.meta.dirname, '../../config');
    const lay = ({ folder }: { folder: string }) =>
      cpSync(example, folder, { recursive: true, filter: (path) => !/\/(run|state)$/.test(path) });
    const sources = {
      defaults: './defaults.yaml',
      files: [{ path: './secrets' }],
      env: { prefix: 'APP_', files: ['./.env'] },
    };
    const daemon = new BenchDaemon(lay, { schema: './app.schema.json', sources, fileModeCheck: 'off' });
    readyTimes.push((await daemon.ready()).readyAfterMs);
    await sleep(300);
    resident.push(daemon.residentMb);
    if (run === 0) idle = await measureIdle(daemon);
    await daemon[Symbol.asyncDispose]();
  }
  return [
    row(
      'daemon on the example: ready after, median',
      ms(percentile(readyTimes, 0.5)),
      '400 ms',
      percentile(readyTimes, 0.5) <= 400,
    ),
    row(
      'daemon on the example: resident, median',
      megabytes(percentile(resident, 0.5)),
      '90 MB',
      percentile(resident, 0.5) <= 90,
    ),
    row('1,000 idle programs: more resident', megabytes(idle), '60 MB', idle <= 60),
  ];
}

async function measureIdle(daemon: BenchDaemon): Promise<number> {
  const before = daemon.residentMb;
  const holder = fork(join(import.meta.dirname, 'idle-programs.ts'), [daemon.socket, '1000']);
  await once(holder, 'message');
  await sleep(500);
  const more = daemon.residentMb - before;
  holder.kill();
  await once(holder, 'exit');
  return more;
}

/** A program that reads one snapshot, beside one that reads the same from a bare socket. */
function measureClient(): Row[] {
  const script = join(import.meta.dirname, 'one-program.mjs');
  const dist = join(import.meta.dirname, '../../client/dist/index.js');
  const sample = (kind: string) => {
    const [memory, time] = execFileSync(process.execPath, [script, kind, dist], { encoding: 'utf8' })
      .split(' ')
      .map(Number);
    return { memory: memory!, time: time! };
  };
  const runs = Array.from({ length: 15 }, () => ({ bare: sample('bare'), hotconf: sample('hotconf') }));
  const memory = percentile(
    runs.map(({ bare, hotconf }) => hotconf.memory - bare.memory),
    0.5,
  );
  const bareTime = percentile(
    runs.map(({ bare }) => bare.time),
    0.5,
  );
  const time = percentile(
    runs.map(({ hotconf }) => hotconf.time),
    0.5,
  );
  return [
    row('the client in a bare program: more resident, median', megabytes(memory), '4 MB', memory <= 4),
    row(`the client's first snapshot, median (bare socket: ${ms(bareTime)})`, ms(time), '15 ms', time <= 15),
  ];
}
