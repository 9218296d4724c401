import { expect } from 'chai';
import { heapPerEdit } from '../support/model/old-world.ts';
import { Worlds } from '../support/model/worlds.ts';

/** In longer runs about one world in 500 still breaks a rule; the suite lives these until that is understood. */
const runs = Number(process.env.HOTCONF_MODEL_RUNS ?? 60);
const firstSeed = Number(process.env.HOTCONF_SEED ?? 1);
/*
 * One seed:       HOTCONF_SEED=7 HOTCONF_MODEL_RUNS=1 npx mocha test/faults/model.test.ts
 * Again and again: the same with HOTCONF_MODEL_RUNS=20 HOTCONF_MODEL_SAME=1, for it interleaves differently each time
 * Many, counting: HOTCONF_SEED=1 HOTCONF_MODEL_RUNS=20000 HOTCONF_MODEL_ALL=1
 * Which rule:     HOTCONF_MODEL_SKIP=converge,unbaked leaves out rules (test/support/model/violations.ts)
 * Which choices:  HOTCONF_MODEL_CHOICES='{"isUrgent":false}' and HOTCONF_MODEL_ONLY='edit;restart' narrow a world
 * What happened:  HOTCONF_MODEL_LOG=1 adds the daemon's log to the story of a failure
 */
describe('the model', () => {
  const worlds = new Worlds();
  before(() => worlds.install());
  after(() => worlds.uninstall());

  it(`holds in ${runs} worlds of random operations (HOTCONF_SEED=${firstSeed}, HOTCONF_MODEL_RUNS=${runs})`, async function () {
    this.timeout(runs * 20_000 + 60_000);
    await worlds.live({ firstSeed, runs });
  });

  for (const level of ['info', 'warn'])
    it(`keeps nothing of an edit that is over (log level ${level})`, async function () {
      this.timeout(60_000);
      const bytes = 20_000;
      expect(await heapPerEdit(level, 80, bytes), 'bytes of heap for each edit').lessThan(bytes);
    });
});
