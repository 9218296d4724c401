import { expect } from 'chai';
import { installFastTimers } from '../support/model/fast-timers.ts';
import { heapPerEdit } from '../support/model/old-world.ts';
import { ModelWorld } from '../support/model-world.ts';
import type { PubsubServer } from '../support/pubsub/pubsub-server.ts';
import { startStandIn } from '../support/pubsub/stand-in.ts';

const runs = Number(process.env.HOTCONF_MODEL_RUNS ?? 500);
const firstSeed = Number(process.env.HOTCONF_SEED ?? 1);
/** All of them have one seed: how it interleaves differs. */
const isOneSeed = process.env.HOTCONF_MODEL_SAME === '1';
/** Goes on after a failure, and counts. */
const isCounting = process.env.HOTCONF_MODEL_ALL === '1';
/** Worlds that live at the same time: they wait most of their time. */
const atATime = Number(process.env.HOTCONF_MODEL_AT_A_TIME ?? 8);

/*
 * One seed:       HOTCONF_SEED=7 HOTCONF_MODEL_RUNS=1 npx mocha test/faults/model.test.ts
 * Again and again: the same with HOTCONF_MODEL_RUNS=20 HOTCONF_MODEL_SAME=1, for it interleaves differently each time
 * Many, counting: HOTCONF_SEED=1 HOTCONF_MODEL_RUNS=20000 HOTCONF_MODEL_ALL=1
 * Which rule:     HOTCONF_MODEL_SKIP=converge,unbaked leaves out rules (test/support/model/violations.ts)
 * Which choices:  HOTCONF_MODEL_CHOICES='{"isUrgent":false}' and HOTCONF_MODEL_ONLY='edit;restart' narrow a world
 * What happened:  HOTCONF_MODEL_LOG=1 adds the daemon's log to the story of a failure
 */
describe('the model', () => {
  let pubsub: Promise<PubsubServer> | undefined;
  let uninstall: () => void;
  let others: NodeJS.UncaughtExceptionListener[] = [];
  const living = new Set<ModelWorld>();
  // Which world it was is not known.
  const onUncaught = (error: unknown) => {
    for (const world of living) world.crash('something here or in another world', error as Error);
  };
  before(() => {
    uninstall = installFastTimers();
    others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException').on('uncaughtException', onUncaught);
    process.on('unhandledRejection', onUncaught);
  });
  after(async () => {
    uninstall();
    process.removeAllListeners('uncaughtException').off('unhandledRejection', onUncaught);
    for (const other of others) process.on('uncaughtException', other);
    await (await pubsub)?.stop();
  });

  it(`holds in ${runs} worlds of random operations (HOTCONF_SEED=${firstSeed}, HOTCONF_MODEL_RUNS=${runs})`, async function () {
    this.timeout(runs * 20_000 + 60_000);
    const failures: string[] = [];
    const counts = new Map<string, number[]>();
    let next = 0;
    const liveOne = async (seed: number) => {
      pubsub ??= startStandIn();
      const world = await ModelWorld.start(seed, () => pubsub!);
      living.add(world);
      await world.live();
      await world.stop();
      living.delete(world);
      if (world.violations.length === 0) return;
      for (const { invariant } of world.violations) counts.set(invariant, [...(counts.get(invariant) ?? []), seed]);
      const what = world.violations.map(({ invariant, message }) => `${invariant}: ${message}`).join('\n  ');
      failures.push(`HOTCONF_SEED=${seed}\n  ${what}\n  the story:\n    ${world.story.join('\n    ')}`);
    };
    const worker = async () => {
      while (next < runs && (isCounting || failures.length === 0)) {
        const run = next++;
        const seed = isOneSeed ? firstSeed : firstSeed + run;
        await liveOne(seed).catch((error) =>
          failures.push(`HOTCONF_SEED=${seed}\n  it does not start: ${error.stack}`),
        );
      }
    };
    await Promise.all(Array.from({ length: atATime }, worker));
    if (failures.length === 0) return;
    const summary = [...counts].map(
      ([name, seeds]) => `${name} ${seeds.length} times (seeds ${seeds.slice(0, 8).join(', ')})`,
    );
    throw new Error(
      `${failures.length} of ${next} worlds broke a rule: ${summary.join('; ')}\n${failures.slice(0, isCounting ? 400 : 2).join('\n')}`,
    );
  });

  for (const level of ['info', 'warn'])
    it(`keeps nothing of an edit that is over (log level ${level})`, async function () {
      this.timeout(60_000);
      const bytes = 20_000;
      expect(await heapPerEdit(level, 80, bytes), 'bytes of heap for each edit').lessThan(bytes);
    });
});
