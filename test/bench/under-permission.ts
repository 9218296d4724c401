import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { connect } from '../../client/index.ts';
import { BenchDaemon } from './bench-daemon.ts';
import { ms, now, percentile, type Row, row } from './figures.ts';

const root = resolve(import.meta.dirname, '../..');
const rounds = 60;

/** From a saved file to a program, under the flags of the systemd unit beside those of the command, in turns. */
export async function measureUnderPermission(): Promise<Row[]> {
  const under: number[] = [];
  const plain: number[] = [];
  for (let turn = 0; turn < 3; turn++) {
    plain.push(...(await latencies(undefined)));
    under.push(...(await latencies(unitFlags)));
  }
  const bound = 50 + 100;
  const line = (what: string, samples: readonly number[]) => {
    const p99 = percentile(samples, 0.99);
    return row(`${what}: p50, p99`, `${ms(percentile(samples, 0.5))}, ${ms(p99)}`, `${bound} ms`, p99 <= bound);
  };
  return [
    line("saved file to program, quiet 50 ms, the command's flags", plain),
    line("... the systemd unit's flags", under),
  ];
}

/** With the places of this run in place of the unit's. */
function unitFlags(folder: string): readonly string[] {
  const unit = readFileSync(join(root, 'config/systemd/hotconf.service'), 'utf8');
  const places: Record<string, string> = {
    '/opt/hotconf': root,
    '/etc/hotconf': folder,
    '/run/hotconf': join(folder, 'run'),
    '/var/lib/hotconf': join(folder, 'state'),
  };
  for (const name of ['run', 'state']) mkdirSync(join(folder, name), { recursive: true, mode: 0o700 });
  const [, command] = /^ExecStart=((?:.*\\\n)*.*)$/m.exec(unit)!;
  const flags = command!.match(/--\S+(?= )/g)!;
  return flags
    .filter((flag) => flag !== '--config')
    .map((flag) => flag.replace(/(?<==)\/.*$/, (path) => places[path] ?? path));
}

async function latencies(flags: ((folder: string) => readonly string[]) | undefined): Promise<number[]> {
  const text = (value: string) => `database: { url: ${value} }\n`;
  const options = { sources: { files: [{ path: './secrets' }] }, reload: { rescan: '10m' } };
  const daemon = new BenchDaemon((scratch) => scratch.write('secrets/app.yaml', text('first')), options, flags);
  try {
    await daemon.ready();
    const config = await connect({ socket: daemon.socket });
    const samples: number[] = [];
    for (let round = 0; round < rounds; round++) {
      writeFileSync(daemon.scratch.path('next'), text(`round-${round}`), { mode: 0o600 });
      const seen = new Promise<number>((done) =>
        config.on('change', function listener() {
          config.off('change', listener);
          done(now());
        }),
      );
      const started = now();
      renameSync(daemon.scratch.path('next'), daemon.scratch.path('secrets/app.yaml'));
      samples.push((await seen) - started);
    }
    await config.close();
    return samples.slice(rounds / 6);
  } finally {
    await daemon[Symbol.asyncDispose]();
  }
}
