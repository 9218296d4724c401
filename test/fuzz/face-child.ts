import { fork } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FaceReport, Found } from './run-face.ts';

export interface FaceJob {
  readonly face: string;
  /** The module whose `faces` has it. */
  readonly module: string;
  readonly seed: number;
  readonly count?: number;
  readonly seconds?: number;
  /** A file with the only input to be tried. */
  readonly input?: string;
  /** Where each input is written before it is tried, its length in four bytes before it. */
  readonly currentFile: string;
}

type SentReport = Omit<FaceReport, 'findings'> & {
  readonly findings: readonly (Omit<Found, 'input'> & { base64: string })[];
};
export type FaceMessage = { readonly kind: 'alive' } | { readonly kind: 'done'; readonly report: SentReport };

/** What is left of a run whose process did not come to its end. */
const noFigures = {
  inputs: 0,
  seconds: 0,
  digest: '',
  corpus: 0,
  coverage: { functions: 0, branches: 0, knownBranches: 0 },
};
const megabytes = 700;

/**
 * Runs a face in a process of its own. When an input ends the process or holds it up for `silenceMs`, that is the finding,
 * with this input.
 */
export async function runInChild(job: Omit<FaceJob, 'currentFile'>, silenceMs = 60_000): Promise<FaceReport> {
  const folder = mkdtempSync(join(tmpdir(), 'hc-fuzz-'));
  const currentFile = join(folder, 'current');
  try {
    return await reportOf({ ...job, currentFile }, silenceMs);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function reportOf(job: FaceJob, silenceMs: number): Promise<FaceReport> {
  const child = fork(join(import.meta.dirname, 'face-process.ts'), [JSON.stringify(job)], {
    execArgv: ['--disable-warning=ExperimentalWarning', `--max-old-space-size=${megabytes}`],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const words: Buffer[] = [];
  child.stderr!.on('data', (piece: Buffer) => words.length < 100 && words.push(piece));
  return new Promise((resolve) => {
    let report: FaceReport | undefined;
    let isSilent = false;
    const timer = setTimeout(() => {
      isSilent = true;
      child.kill('SIGKILL');
    }, silenceMs);
    child.on('message', (message: FaceMessage) => {
      timer.refresh();
      if (message.kind === 'done') report = received(message.report);
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      const how = isSilent
        ? `holds its process up for ${silenceMs} ms`
        : `ends its process (${signal ?? `code ${code}`})`;
      if (report && code === 0) return resolve(report);
      const what = report ? `the face does not close: ${lastWords(words)}` : `an input ${how}: ${lastWords(words)}`;
      const found = { what, input: currentInput(job.currentFile), times: 1 };
      resolve({ ...(report ?? noFigures), findings: [...(report?.findings ?? []), found] });
    });
  });
}

function received({ findings, ...report }: SentReport): FaceReport {
  return {
    ...report,
    findings: findings.map(({ base64, ...found }) => ({ ...found, input: Buffer.from(base64, 'base64') })),
  };
}

function lastWords(words: readonly Buffer[]): string {
  return /^.*(?:Error|Finding|FATAL).*$/m.exec(Buffer.concat(words).toString())?.[0].slice(0, 300) ?? 'it says nothing';
}

function currentInput(file: string): Buffer {
  if (!existsSync(file)) return Buffer.alloc(0);
  const content = readFileSync(file);
  return content.length < 4 ? Buffer.alloc(0) : content.subarray(4, 4 + content.readUInt32BE());
}
