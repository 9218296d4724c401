import { type FloodKind, floodKinds, measureFlood } from '../support/floods.ts';

/** `node test/bench/floods.ts [SECONDS] [KIND...]`: what each flood does, a line each. */
const [, , seconds = '60', ...kinds] = process.argv;
for (const kind of ['none', ...(kinds.length > 0 ? kinds : floodKinds)] as FloodKind[])
  console.log(JSON.stringify(await measureFlood(kind, Number(seconds))));
