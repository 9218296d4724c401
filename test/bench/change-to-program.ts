import { renameSync, writeFileSync } from 'node:fs';
import { connect } from '../../client/index.ts';
import type { Scratch } from '../support/scratch.ts';
import { BenchDaemon } from './bench-daemon.ts';
import { ms, now, percentile, type Row, row, times } from './figures.ts';

type Sections = Record<string, Record<string, string>>;

/** From the rename over a file to the program's `change` listener, one program, in another process than the daemon. */
export async function measureChangeToProgram(): Promise<Row[]> {
  const quiet50 = await latencies(1, '50ms', 120);
  const quiet0 = await latencies(1, '0ms', 300);
  const [many, one] = [await latencies(100, '0ms', 300), quiet0];
  const ratio = percentile(many, 0.5) / percentile(one, 0.5);
  return [
    row(
      'change to program, 100 keys, quiet 50 ms: p50',
      ms(percentile(quiet50, 0.5)),
      '56 ms',
      percentile(quiet50, 0.5) <= 56,
    ),
    row(
      'change to program, 100 keys, quiet 50 ms: p99',
      ms(percentile(quiet50, 0.99)),
      '75 ms',
      percentile(quiet50, 0.99) <= 75,
    ),
    row(
      'change to program, 100 keys, quiet 0 ms: p50',
      ms(percentile(quiet0, 0.5)),
      '10 ms',
      percentile(quiet0, 0.5) <= 10,
    ),
    row('change to program, 10,000 keys in 100 files, quiet 0 ms: p50', ms(percentile(many, 0.5)), '', true),
    row('... against one file of 100 keys', times(ratio), '2 x', ratio <= 2),
  ];
}

const sectionOf = (file: number, value: string) =>
  Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`key${i}`, `${value}-${file}-${i}`]));
const textOf = (file: number, value: string) =>
  `section${file}:\n${Object.entries(sectionOf(file, value))
    .map(([key, text]) => `  ${key}: ${text}\n`)
    .join('')}`;

async function latencies(files: number, quiet: string, rounds: number): Promise<number[]> {
  const lay = (scratch: Scratch) => {
    for (let file = 0; file < files; file++) scratch.write(`secrets/s${file}.yaml`, textOf(file, 'first'));
  };
  const daemon = new BenchDaemon(lay, { sources: { files: [{ path: './secrets' }] }, reload: { quiet } });
  try {
    await daemon.ready();
    const config = await connect<Sections>({ socket: daemon.socket });
    const samples: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const temporary = daemon.scratch.path('next');
      // One key of a hundred changes, as when a key is rotated.
      writeFileSync(temporary, textOf(0, 'first').replace('first-0-7', `round-${round}`), { mode: 0o600 });
      const seen = new Promise<number>((resolve) =>
        config.on('change', function listener() {
          config.off('change', listener);
          resolve(now());
        }),
      );
      const started = now();
      renameSync(temporary, daemon.scratch.path('secrets/s0.yaml'));
      samples.push((await seen) - started);
      await new Promise((resolve) => setTimeout(resolve, 15 + Math.random() * 10));
    }
    await config.close();
    // The first rounds warm the code up, as a daemon that runs for weeks is.
    return samples.slice(rounds / 6);
  } finally {
    await daemon[Symbol.asyncDispose]();
  }
}
