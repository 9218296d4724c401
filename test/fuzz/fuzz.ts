import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { OpenFace } from './face.ts';
import { runInChild } from './face-child.ts';
import type { FaceReport, Found } from './run-face.ts';

// npm run fuzz -- [--seconds 60 | --count N] [--face NAME] [--seed N] [--input FILE] [--module FILE]
// --input tries the one input in a file; --module takes the faces of another module, for the fuzzer's own tests.

const root = resolve(import.meta.dirname, '../..');
const folder = join(root, 'node_modules/.cache/fuzz');
const text = { type: 'string' } as const;
const { values } = parseArgs({
  options: { seconds: text, count: text, face: text, seed: text, input: text, module: text },
});
const module = resolve(values.module ?? join(import.meta.dirname, 'faces/faces.ts'));
const { faces } = (await import(module)) as { faces: Readonly<Record<string, OpenFace>> };
const chosen = values.face === undefined ? Object.keys(faces) : [values.face];
const unknown = chosen.find((name) => !Object.hasOwn(faces, name));
const seed = numberOf('seed') ?? Date.now() % 1_000_000;
const count = numberOf('count');
const limit = count === undefined ? { seconds: numberOf('seconds') ?? 60 } : { count };
if (unknown !== undefined) stop(`there is no face ${unknown}; the faces are ${Object.keys(faces).join(', ')}`);
if (values.input !== undefined && values.face === undefined) stop('--input needs --face');

const command = `npm run fuzz --${values.module === undefined ? '' : ` --module ${values.module}`}`;
let found = 0;
for (const face of chosen) {
  const input = values.input && resolve(values.input);
  const report = await runInChild({ face, module, seed, ...limit, ...(input && { input }) });
  found += report.findings.length;
  show(face, report);
}
process.exitCode = found > 0 ? 1 : 0;

function show(face: string, report: FaceReport): void {
  const { inputs, seconds, digest, corpus, coverage, findings } = report;
  const { functions, branches, knownBranches } = coverage;
  const rate = `${Math.round(inputs / Math.max(seconds, 0.001))}/s`;
  if (values.input === undefined) {
    const reached = `${functions} functions, ${branches} of ${knownBranches} branches in them`;
    console.log(
      `${face}: seed ${seed}, ${inputs} inputs (${rate}, digest ${digest}), corpus ${corpus}, reached ${reached}`,
    );
  }
  if (findings.length === 0) console.log(`${face}: nothing found`);
  for (const one of findings) showFound(face, one);
}

function showFound(face: string, { what, input, times }: Found): void {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${face}-${createHash('sha256').update(input).digest('hex').slice(0, 12)}`);
  writeFileSync(file, input);
  console.log(`${face}: FOUND, by ${times} inputs: ${what}`);
  console.log(`  this input again: ${command} --face ${face} --input ${relative(root, file)}`);
  if (values.input === undefined) console.log(`  all of them again: ${command} --face ${face} --seed ${seed}`);
}

function numberOf(name: 'seed' | 'count' | 'seconds'): number | undefined {
  const given = values[name];
  if (given !== undefined && !/^\d{1,9}$/.test(given)) stop(`--${name} wants a whole number`);
  return given === undefined ? undefined : Number(given);
}

function stop(message: string): never {
  console.error(message);
  process.exit(64);
}
