import { ModelWorld } from '../model-world.ts';
import type { PubsubServer } from '../pubsub/pubsub-server.ts';
import { startStandIn } from '../pubsub/stand-in.ts';
import { installFastTimers } from './fast-timers.ts';

/** All have the first seed: how a world interleaves differs each time. */
const isOneSeed = process.env.HOTCONF_MODEL_SAME === '1';
/** Goes on after a failure, and counts. */
const isCounting = process.env.HOTCONF_MODEL_ALL === '1';
/** Worlds that live at the same time: they wait most of their time. */
const atATime = Number(process.env.HOTCONF_MODEL_AT_A_TIME ?? 8);

export interface WorldsToLive {
  readonly firstSeed: number;
  readonly runs: number;
  /** So many programs of each world mean harm; default 0. */
  readonly hostile?: number;
  /** A world that broke no rule, before it ends. */
  readonly onLived?: (world: ModelWorld, seed: number) => unknown;
}

/** Lives many worlds, and throws with the story of those that broke a rule. */
export class Worlds {
  #pubsub: Promise<PubsubServer> | undefined;
  #uninstall = () => {};
  #others: NodeJS.UncaughtExceptionListener[] = [];
  readonly #living = new Set<ModelWorld>();
  // Which world it was is not known.
  readonly #onUncaught = (error: unknown) => {
    for (const world of this.#living) world.crash('something here or in another world', error as Error);
  };

  install(): void {
    this.#uninstall = installFastTimers();
    this.#others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException').on('uncaughtException', this.#onUncaught);
    process.on('unhandledRejection', this.#onUncaught);
  }

  async uninstall(): Promise<void> {
    this.#uninstall();
    process.removeAllListeners('uncaughtException').off('unhandledRejection', this.#onUncaught);
    for (const other of this.#others) process.on('uncaughtException', other);
    await (await this.#pubsub)?.stop();
  }

  async live(wanted: WorldsToLive): Promise<void> {
    const failures: string[] = [];
    const counts = new Map<string, number[]>();
    let next = 0;
    const liveOne = async (seed: number) => {
      const violations = await this.#liveOne(seed, wanted);
      if (!violations) return;
      for (const name of violations.broken) counts.set(name, [...(counts.get(name) ?? []), seed]);
      failures.push(violations.story);
    };
    const worker = async () => {
      while (next < wanted.runs && (isCounting || failures.length === 0)) {
        const run = next++;
        await liveOne(isOneSeed ? wanted.firstSeed : wanted.firstSeed + run);
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
  }

  async #liveOne(seed: number, { hostile, onLived }: WorldsToLive) {
    this.#pubsub ??= startStandIn();
    let world: ModelWorld;
    try {
      world = await ModelWorld.start(seed, () => this.#pubsub!, hostile);
    } catch (error) {
      return { broken: ['starts'], story: `HOTCONF_SEED=${seed}\n  it does not start: ${(error as Error).stack}` };
    }
    this.#living.add(world);
    await world.live();
    if (world.violations.length === 0) await onLived?.(world, seed);
    await world.stop();
    this.#living.delete(world);
    if (world.violations.length === 0) return undefined;
    const what = world.violations.map(({ invariant, message }) => `${invariant}: ${message}`).join('\n  ');
    return {
      broken: world.violations.map(({ invariant }) => invariant),
      story: `HOTCONF_SEED=${seed}\n  ${what}\n  the story:\n    ${world.story.join('\n    ')}`,
    };
  }
}
