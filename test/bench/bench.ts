import { cpus } from 'node:os';
import { measureChangeToProgram } from './change-to-program.ts';
import { measureFanOut } from './fan-out.ts';
import type { Row } from './figures.ts';
import { measureMemory } from './memory.ts';

// Prints one table. A bound that is missed is marked; nothing fails, for a machine may be busy.
console.log(`node ${process.version}, ${cpus().length} cores, ${cpus()[0]?.model}\n`);
for (const measure of [measureChangeToProgram, measureFanOut, measureMemory]) {
  for (const row of await measure()) console.log(lineOf(row));
}
process.exit();

function lineOf({ what, measured, bound, isMet }: Row): string {
  return `${what.padEnd(66)} ${measured.padStart(10)}  ${bound === '' ? '' : `at most ${bound}${isMet ? '' : '   MISSED'}`}`.trimEnd();
}
