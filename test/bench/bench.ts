import { cpus } from 'node:os';
import { measureChangeToProgram } from './change-to-program.ts';
import { measureDelivery } from './delivery.ts';
import { measureFanOut } from './fan-out.ts';
import type { Row } from './figures.ts';
import { measureGcp } from './gcp.ts';
import { measureMemory } from './memory.ts';
import { measureRecovery } from './recovery.ts';
import { measureUnderPermission } from './under-permission.ts';

// Prints one table, of everything or of what the arguments name. A bound that is missed is marked; nothing fails, for a machine may be busy.
console.log(`node ${process.version}, ${cpus().length} cores, ${cpus()[0]?.model}\n`);
const measures = {
  change: measureChangeToProgram,
  fanout: measureFanOut,
  delivery: measureDelivery,
  memory: measureMemory,
  gcp: measureGcp,
  permission: measureUnderPermission,
};
// The last one takes minutes, so it runs only when it is named.
const named = { ...measures, recovery: measureRecovery };
const chosen = process.argv.slice(2);
for (const name of chosen.length > 0 ? chosen : Object.keys(measures)) {
  const measure = named[name as keyof typeof named];
  for (const row of await measure()) console.log(lineOf(row));
}
process.exit();

function lineOf({ what, measured, bound, isMet }: Row): string {
  return `${what.padEnd(66)} ${measured.padStart(10)}  ${bound === '' ? '' : `at most ${bound}${isMet ? '' : '   MISSED'}`}`.trimEnd();
}
