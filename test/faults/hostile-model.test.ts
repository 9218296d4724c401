import { expect } from 'chai';
import { heapNow } from '../support/model/old-world.ts';
import { Worlds } from '../support/model/worlds.ts';
import type { ModelWorld } from '../support/model-world.ts';

const runs = Number(process.env.HOTCONF_MODEL_RUNS ?? 10);
const firstSeed = Number(process.env.HOTCONF_SEED ?? 1);
const hostile = 3;

/** What honest programs of some worlds waited, and how much memory there was. */
interface Measured {
  readonly waitedMs: number[];
  readonly heap: number[];
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!;

// More: HOTCONF_SEED=1 HOTCONF_MODEL_RUNS=2000 HOTCONF_MODEL_ALL=1; the other settings are those of model.test.ts.
describe('the model with programs that mean harm', () => {
  const worlds = new Worlds();
  before(() => worlds.install());
  after(() => worlds.uninstall());

  const live = async (hostile: number): Promise<Measured> => {
    const measured: Measured = { waitedMs: [], heap: [] };
    const onLived = async (world: ModelWorld) => {
      const waitedMs = await world.waitForEdit();
      if (waitedMs !== undefined) measured.waitedMs.push(waitedMs);
      measured.heap.push(heapNow());
    };
    await worlds.live({ firstSeed, runs, hostile, onLived });
    return measured;
  };

  it(`holds in ${runs} worlds with ${hostile} of them, which cost the others little (HOTCONF_SEED=${firstSeed})`, async function () {
    this.timeout(runs * 40_000 + 60_000);
    const peaceful = await live(0);
    const harmed = await live(hostile);
    const waited = median(harmed.waitedMs) / median(peaceful.waitedMs);
    const heap = Math.max(...harmed.heap) / Math.max(...peaceful.heap);
    if (process.env.HOTCONF_MODEL_LOG) console.log(`waited ${waited.toFixed(2)} times, heap ${heap.toFixed(2)} times`);
    expect(waited, 'how many times as long honest programs waited').lessThan(5);
    expect(heap, 'how many times as much heap there was').lessThan(2);
  });
});
