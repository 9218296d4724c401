import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { connect } from '../../client/connect.ts';
import { HotconfProcess } from './daemon-process.ts';
import { Scratch } from './scratch.ts';
import { until } from './until.ts';

export const floodKinds = ['ping', 'busy', 'resync', 'hello', 'long-hello', 'report', 'ask'] as const;
export type FloodKind = (typeof floodKinds)[number] | 'none';

/** What a flood did to the daemon and to an honest program beside it. */
export interface FloodFigures {
  readonly kind: FloodKind;
  readonly seconds: number;
  /** Highest and last resident megabytes (1e6 bytes) of the daemon. */
  readonly peakMb: number;
  readonly residentMb: number;
  /** From an edit of a file until the honest program had it. */
  readonly changes: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly logBytes: number;
  readonly auditBytes: number;
  readonly survived: boolean;
}

/** Seconds for which each flood runs: short in the suite, 60 for the figures. */
export const floodSeconds = Number(process.env.HOTCONF_FLOOD_SECONDS ?? 4);

/** Runs a daemon in a process of its own, floods it, and changes a setting again and again meanwhile. */
export async function measureFlood(kind: FloodKind, seconds: number): Promise<FloodFigures> {
  const scratch = new Scratch();
  const daemon = await startDaemon(scratch);
  let flood: ChildProcess | undefined;
  const socket = scratch.path('run/default.sock');
  const config = await connect<{ n: number }>({ socket, name: 'honest', timeoutMs: 30_000 });
  try {
    if (kind !== 'none') {
      flood = fork(join(import.meta.dirname, '../fixtures/flood.ts'), [socket, kind]);
      await once(flood, 'message');
    }
    const times: number[] = [];
    const end = performance.now() + seconds * 1_000;
    for (let n = 1; performance.now() < end; n++) {
      const started = performance.now();
      scratch.write('secrets/app.yaml', `n: ${n}\n`);
      await until(`the honest program has change ${n} under ${kind}`, () => config.settings.n === n, 30_000);
      times.push(performance.now() - started);
    }
    times.sort((a, b) => a - b);
    const at = (share: number) => Math.round(times[Math.min(times.length - 1, Math.floor(times.length * share))]!);
    return {
      kind,
      seconds,
      ...memoryOf(daemon.child.pid!),
      changes: times.length,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      logBytes: Buffer.byteLength(daemon.stdout),
      auditBytes: auditBytes(scratch.path('state')),
      survived: daemon.isRunning,
    };
  } finally {
    if (flood) {
      flood.kill('SIGKILL');
      await once(flood, 'exit');
    }
    await config.close();
    await daemon.kill();
    scratch.remove();
  }
}

async function startDaemon(scratch: Scratch): Promise<HotconfProcess> {
  scratch.write('schema.json', '{"type": "object"}');
  scratch.write('secrets/app.yaml', 'n: 0\n');
  // What is sent again on resync is not small.
  scratch.write('secrets/big.json', JSON.stringify({ extra: { text: 'y'.repeat(200_000) } }));
  const file = scratch.write(
    'hotconf.yaml',
    stringify({
      environment: 'production',
      schema: './schema.json',
      sources: { files: ['./secrets'] },
      runtimeDir: './run',
      stateDir: './state',
      log: { format: 'json' },
    }),
  );
  // Garbage that waits for its collector would say nothing; what is alive and grows would end it.
  const env = { ...process.env, NODE_OPTIONS: '--max-old-space-size=128' };
  return new HotconfProcess(['start', '--config', file], { env }).ready();
}

function memoryOf(pid: number): { peakMb: number; residentMb: number } {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  const megabytes = (field: string) =>
    Math.round((Number(new RegExp(`${field}:\\s+(\\d+)`).exec(text)![1]) * 1_024) / 1e6);
  return { peakMb: megabytes('VmHWM'), residentMb: megabytes('VmRSS') };
}

function auditBytes(folder: string): number {
  const files = readdirSync(folder).filter((name) => name.startsWith('audit') && name.endsWith('.jsonl'));
  return files.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}
