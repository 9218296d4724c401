import { renameSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ModelWorld } from '../model-world.ts';
import { type Part, parts, show, textOf } from './content.ts';
import { patience } from './patience.ts';
import type { Program } from './program.ts';

/** Milliseconds in which everything has to have come to the programs at the end. */
const settlesWithinMs = 9_000;

/** The end of a world: it comes to rest, all that the sources say is to be served, and it stays so. */
export class Ending {
  readonly #world: ModelWorld;

  constructor(world: ModelWorld) {
    this.#world = world;
  }

  async settle(): Promise<void> {
    this.#world.story.push('the end');
    this.#world.thaw();
    this.#world.heal();
    const isAnswered = await patience.comes(() => this.#world.pending.size === 0, 8_000);
    this.#world.expect(isAnswered, 'answers', () => 'an operator is not answered');
    this.#world.pinEnds++;
    for (const program of this.#world.programs) {
      if (!program.isOpen) await this.#world.reopen(program);
      if (this.#world.reported.has(program.name)) program.config?.reportRecovery('trouble');
    }
    await this.#world.operator.look();
    if (this.#world.choices.settlesAlone) {
      this.#world.files.repair();
      for (const part of parts)
        if (this.#world.judge.refusedLate.has(this.#world.files.now(part)!.serial)) this.#world.edit(part);
      const isUnpinned = async () => {
        if (!this.#world.daemon!.reports.summary().pinned) return true;
        await this.#world.post('unpin');
        return false;
      };
      this.#world.expect(await patience.comes(isUnpinned, 8_000), 'pin', () => 'unpin does not take the pin away');
    } else {
      for (const part of parts) this.#world.edit(part);
      await this.reloadAtLast();
    }
    await this.converge();
    await this.#world.operator.look();
    await this.checkDelivery();
  }

  async reloadAtLast(): Promise<void> {
    const ask = () => this.#world.post('reload-config', { acceptMissing: true });
    let { status, body } = await ask();
    // Programs that have just been thawed may be late.
    for (let i = 0; i < 3 && body?.code === 'subscriber_silent'; i++) ({ status, body } = await ask());
    // A link that led nowhere and is gone is known to be gone after the next look.
    if (body?.code === 'source_missing') ({ status, body } = await ask());
    this.#world.expect(status === 200, 'answers', () => `the last reload is answered ${status} ${body?.message}`);
  }

  async converge(): Promise<void> {
    const isOver = patience.deadline(settlesWithinMs);
    const isThere = () => this.#world.programs.every((program) => this.runsAll(program));
    let isTime = patience.deadline(0);
    while (!isThere() && !isOver()) {
      await sleep(20);
      // What is written anew all the time cannot be read.
      if (!this.#world.choices.settlesAlone || !isTime()) continue;
      isTime = patience.deadline(300);
      // One of its parts changes: then the others are to be served too.
      const bad = Object.keys(this.#world.judge.quarantined(this.#world.files.content) ?? {});
      // A withdrawal may have been kept by a daemon that was killed before it could log it.
      const { held } = this.#world.daemon!.reports.summary();
      const names = held.filter(({ kind }) => kind === 'withdrawn').flatMap((one) => one.parts);
      bad.push(...parts.filter((part) => names.some((name) => new RegExp(`/${part}(\\.json)?$`).test(name))));
      if (bad.length > 0) this.#world.edit(this.#world.pick(bad) as Part);
      for (const part of parts)
        if (this.#world.judge.refusedLate.has(this.#world.files.now(part)!.serial)) this.#world.edit(part);
    }
    this.#world.isAtRest = isThere();
    this.#world.expect(this.#world.isAtRest, 'converge', () => this.differences());
  }

  /** Accepted by so many: no fewer than have accepted it. */
  async checkDelivery(): Promise<void> {
    const { revision } = this.#world.daemon!.reports.summary();
    const accepted = this.#world.judge.acceptedBy(revision).size;
    const counted = () =>
      this.#world.daemon!.reports.history().find((one) => one.outcome === 'committed' && one.revision === revision)
        ?.delivery?.accepted;
    if (this.#world.violations.length > 0 || accepted === 0 || this.#world.starts > 0) return;
    const isCounted = await patience.comes(() => (counted() ?? accepted) >= accepted, 500);
    const what = () => `revision ${revision} was accepted by ${accepted}, and ${counted()} are counted`;
    this.#world.expect(isCounted, 'delivery', what);
  }

  async end(): Promise<void> {
    const { ending } = this.#world.choices;
    if (!this.#world.isAtRest) return;
    this.#world.story.push(ending);
    if (ending === 'idle' && !this.#world.choices.isGoogle) {
      await sleep(300);
      const { reloads } = this.#world.judge;
      await sleep(500);
      const more = this.#world.judge.reloads - reloads;
      this.#world.expect(more <= 1, 'idle', () => `${more} reloads in 5 s of rest`);
    } else if (/restart/.test(ending)) await this.endWithRestart(ending === 'restart without sources');
  }

  async endWithRestart(isWithout: boolean): Promise<void> {
    const { scratch } = this.#world.test;
    const served = this.judgeServed();
    this.#world.judge.isStopping = true;
    await this.#world.test.stop();
    if (isWithout) renameSync(scratch.path('secrets'), scratch.path('away'));
    this.#world.judge.restarts();
    this.#world.starts++;
    await this.#world.test
      .start()
      .catch((error) => this.#world.expect(false, 'kept', () => `it does not start: ${error.message}`));
    if (this.#world.violations.length > 0) return;
    const isBack = () => this.#world.programs.every((program) => program.isLive && this.runsAll(program));
    const areBack = await patience.comes(isBack, 5_000);
    this.#world.expect(areBack, isWithout ? 'kept' : 'steady', () => this.differences());
    const is = this.judgeServed();
    this.#world.expect(
      is === served,
      isWithout ? 'kept' : 'steady',
      () => `${served} was served, and after a restart ${is}`,
    );
  }

  judgeServed(): string {
    const { epoch, revision } = this.#world.daemon!.reports.summary();
    return `revision ${revision} of ${epoch}`;
  }

  runsAll(program: Program): boolean {
    const { first, abc, ...narrow } = this.#world.files.settings;
    const all = program.parts.view === 'default' ? { first, abc, ...narrow } : narrow;
    return program.config !== undefined && textOf(program.config.settings) === textOf(all);
  }

  differences(): string {
    const run = this.#world.programs.map(
      ({ name, content, config }) =>
        `${name} ${show(content)} ${config?.settings.abc ?? ''} (${config?.link.kind} ${config?.link.kind === 'stale' ? config.link.reason : ''})`,
    );
    const sources = this.#world.daemon?.reports.summary().sources.map(({ problem }) => problem?.message ?? 'current');
    return `the sources say ${show(this.#world.files.content)} ${this.#world.files.settings.abc}; ${run.join('; ')}; ${sources?.join('; ')}`;
  }
}
