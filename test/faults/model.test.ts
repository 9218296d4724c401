import { ModelWorld } from '../support/model-world.ts';
import type { PubsubServer } from '../support/pubsub/pubsub-server.ts';
import { startStandIn } from '../support/pubsub/stand-in.ts';

const runs = Number(process.env.HOTCONF_MODEL_RUNS ?? 500);
const firstSeed = Number(process.env.HOTCONF_SEED ?? Date.now() % 1_000_000_000);
/** A world gets old: so many runs happen in one, then a new one begins. */
const runsInWorld = 25;
const stepsInRun = 8;

describe('the model', () => {
  let pubsub: PubsubServer;
  before(async () => {
    pubsub = await startStandIn();
  });
  after(() => pubsub.stop());

  it(`holds in ${runs} runs of random operations (HOTCONF_SEED=${firstSeed}, HOTCONF_MODEL_RUNS=${runs})`, async function () {
    this.timeout(runs * 2_000 + 60_000);
    for (let run = 0; run < runs; run += runsInWorld) {
      const seed = firstSeed + run;
      const world = await ModelWorld.start(seed, pubsub);
      try {
        for (let i = run; i < Math.min(runs, run + runsInWorld); i++) {
          world.done.splice(0);
          for (let step = 0; step < stepsInRun; step++) await world.step();
          await world.settle();
        }
      } catch (error) {
        (error as Error).message += `; HOTCONF_SEED=${seed}, after: ${world.done.join(', ')}`;
        throw error;
      } finally {
        await world.stop();
      }
    }
  });
});
