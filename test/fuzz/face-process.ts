import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { OpenFace } from './face.ts';
import type { FaceJob, FaceMessage } from './face-child.ts';
import { type FaceReport, runFace, tryInput } from './run-face.ts';

// Runs one face in a process of its own: what an input does to the process is seen by the one that started it.
const job = JSON.parse(process.argv[2]!) as FaceJob;
const { faces } = (await import(job.module)) as { faces: Readonly<Record<string, OpenFace>> };
const say = (message: FaceMessage) =>
  new Promise<void>((sent) => process.send!(message, undefined, undefined, () => sent()));
const alive = setInterval(() => void say({ kind: 'alive' }), 500).unref();

const face = await faces[job.face]!();
const report = job.input === undefined ? await run() : await once(readFileSync(job.input));
await say({
  kind: 'done',
  report: {
    ...report,
    findings: report.findings.map(({ input, ...found }) => ({ ...found, base64: input.toString('base64') })),
  },
});
await face.close?.();
clearInterval(alive);
process.disconnect();

async function run(): Promise<FaceReport> {
  const file = openSync(job.currentFile, 'w');
  const size = Buffer.alloc(4);
  const onInput = (input: Buffer) => {
    size.writeUInt32BE(input.length);
    writeSync(file, Buffer.concat([size, input]), 0, size.length + input.length, 0);
  };
  try {
    return await runFace(face, { ...job, onInput });
  } finally {
    closeSync(file);
  }
}

async function once(input: Buffer): Promise<FaceReport> {
  const what = await tryInput(face, input);
  const findings = what ? [{ what, input, times: 1 }] : [];
  const coverage = { functions: 0, branches: 0, knownBranches: 0 };
  return { inputs: 1, seconds: 0, digest: '', corpus: 0, coverage, findings };
}
