import { setTimeout as sleep } from 'node:timers/promises';
import type { ModelWorld } from '../model-world.ts';
import { type Part, parts } from './content.ts';
import { times } from './model-daemon.ts';
import { patience } from './patience.ts';
import type { Program } from './program.ts';

/** What happens to a world while a change is verified or bakes. */
export class Stages {
  readonly #world: ModelWorld;

  constructor(world: ModelWorld) {
    this.#world = world;
  }

  async refusedAndRestart(): Promise<void> {
    const serial = this.#world.editRefused();
    await patience.comes(() => this.#world.judge.hasRefused(serial), 400 + this.#world.choices.verifyMs);
    await sleep(this.#world.random() * 30);
    await (this.#world.random() < 0.5 ? this.#world.lives.restart() : this.#world.lives.kill());
  }

  async stagedAndRestart(): Promise<void> {
    await this.editUntilStaged();
    await (this.#world.random() < 0.5 ? this.#world.lives.restart() : this.#world.lives.kill());
  }

  /** One of the first fails while another change is on its way. */
  async stagedAndReport(): Promise<void> {
    const first = await this.editUntilStaged('first');
    this.#world.edit('second');
    await sleep(10 + this.#world.random() * (20 + this.#world.choices.verifyMs));
    if (first) this.#world.report('it does not work with this', first);
  }

  /** One of the first refuses what it was given while another change, which it does not see, is on its way. */
  async stagedAndRefused(): Promise<void> {
    const narrow = this.#world.programs.filter((program) => !program.sees('first'));
    const slim =
      narrow.find(({ name }) => this.#world.choices.canary?.subscribers.includes(name)) ?? this.#world.pick(narrow);
    this.#world.note(`${slim.name}'s handler`);
    await this.editUntilStaged('second', slim);
    this.#world.edit('first');
    await sleep(this.#world.choices.handlerMs + this.#world.choices.canary!.bakeMs / times + 50);
  }

  async stagedAndPinned(): Promise<void> {
    const first = await this.editUntilStaged();
    const { revision } = this.#world.daemon!.reports.summary();
    this.#world.pinEnds++;
    await this.#world.post('rollback', { to: revision });
    if (first) this.#world.report('it does not work with this', first);
    await sleep(50);
    await this.#world.operator.look();
  }

  /** One of the first is away while another change is staged. */
  async stagedAndCut(): Promise<void> {
    const first = await this.editUntilStaged('first');
    first?.cut(80 + this.#world.random() * 100);
    this.#world.edit('second');
    await sleep(250);
    await this.#world.operator.look();
  }

  /** Returns one of the first, if it came to that. */
  async editUntilStaged(part: Part = this.#world.pick(parts), refusing?: Program): Promise<Program | undefined> {
    const before = this.#world.stage?.revision;
    if (refusing) this.#world.editFor(refusing, 'handler', part);
    else this.#world.edit(part);
    const isStaged = () => this.#world.stage && this.#world.stage.revision !== before;
    await patience.comes(isStaged, 400 + this.#world.choices.verifyMs);
    return this.#world.programs.find(({ name, isOpen }) => isOpen && this.#world.stage?.first.includes(name));
  }
}
