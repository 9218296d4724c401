import { setTimeout as sleep } from 'node:timers/promises';
import type { ModelWorld } from '../model-world.ts';
import { parts } from './content.ts';

/** The ends and starts of a world's daemon. */
export class Lives {
  readonly #world: ModelWorld;

  constructor(world: ModelWorld) {
    this.#world = world;
  }

  async restart(meanwhile: () => void = () => {}): Promise<void> {
    this.#world.judge.isStopping = true;
    await this.#world.test.stop();
    const isLeft = this.#world.test.isSocketThere;
    this.#world.expect(!isLeft, 'stopped', () => 'the socket is left behind');
    meanwhile();
    if (!isLeft) await this.startAgain();
  }

  async kill(): Promise<void> {
    for (const program of this.#world.programs) {
      program.isBarred = true;
      const { isAway, disturbedAt } = program;
      program.cut();
      // The daemon that comes back has to wait for it.
      Object.assign(program, { isAway, disturbedAt });
    }
    await this.#world.test.kill();
    for (const program of this.#world.programs) program.isBarred = false;
    await this.startAgain();
  }

  async stopInStart(): Promise<void> {
    this.#world.judge.isStopping = true;
    await this.#world.test.stop();
    this.#world.judge.restarts();
    this.#world.starts++;
    const starting = this.#world.test.start().catch(() => {});
    await sleep(this.#world.random() * 30);
    this.#world.judge.isStopping = true;
    await this.#world.test.stop();
    await starting;
    if (this.#world.test.isSocketThere)
      this.#world.expect(false, 'stopped', () => 'it was stopped in its start, and goes on');
    else await this.startAgain();
  }

  /** A start may find nothing that it could serve, and no last known good yet; then a person corrects it. */
  async startAgain(): Promise<void> {
    this.#world.judge.restarts();
    this.#world.starts++;
    const start = async () => {
      const starting = this.#world.test.start();
      if (this.#world.random() < 0.15)
        this.#world.background('', () => this.#world.daemon?.reload({ cause: 'signal' }));
      await starting;
    };
    try {
      await start();
    } catch {
      this.#world.note('it did not start');
      for (const part of parts) this.#world.edit(part);
      this.#world.judge.restarts();
      await start();
    }
    if (this.#world.random() < 0.2) this.#world.background('reload', () => this.#world.operator.reload());
  }
}
