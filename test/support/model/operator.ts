import { setTimeout as sleep } from 'node:timers/promises';
import type { ModelWorld } from '../model-world.ts';
import { type Part, parts, show } from './content.ts';
import { patience } from './patience.ts';
import type { Program } from './program.ts';

/** An operator of a world: what is asked of the daemon, and whether the answers are true. */
export class Operator {
  readonly #world: ModelWorld;

  constructor(world: ModelWorld) {
    this.#world = world;
  }

  /** A program that got what is served from this life of the daemon, which therefore knows its values. */
  upToDate(): Program | undefined {
    const { revision } = this.#world.daemon!.reports.summary();
    const knows = ({ name, config }: Program) =>
      config?.snapshot.revision === revision && this.#world.judge.acceptedBy(revision).has(name);
    return this.#world.programs.find(knows);
  }

  async reload(): Promise<void> {
    this.#world.pinEnds++;
    const [at, starts] = [performance.now(), this.#world.starts];
    const said = parts.map((part) => [part, this.#world.files.now(part)?.serial] as const);
    const { token } = this.upToDate()?.config?.settings.second ?? {};
    const reason = this.#world.random() < 0.5 && token ? `because of ${token}` : 'because';
    const { status, body } = await this.#world.post('reload-config', {
      reason,
      acceptMissing: this.#world.random() < 0.3,
    });
    const isMine = status !== 422 || body.code !== 'source_missing' || /x\.yaml/.test(body.message);
    this.#world.expect(isMine, 'answers', () => `an operator's reload is answered: ${body.message}`);
    if (status !== 200 || this.#world.choices.canary) return;
    for (const [part, serial] of said) {
      if (serial === undefined || !this.#world.files.isFile(part)) continue;
      const isRun = () => {
        const is = this.#world.files.since(part, at);
        const run = this.#world.calm(part).map(({ content }) => content[part]!);
        return run.every((one) => is.includes(one));
      };
      // Who refuses it when it has come keeps what it had.
      const isRefused = () => this.#world.judge.refusedLate.has(this.#world.files.now(part)?.serial ?? serial);
      const isOver = () =>
        this.#world.starts !== starts || this.#world.daemon?.reports.summary().pinned || isRun() || isRefused();
      const isTrue = await patience.comes(isOver, 1_500);
      const run = this.#world.calm(part).map(({ name, content }) => `${name} ${content[part]}`);
      this.#world.expect(
        isTrue,
        'answers',
        () => `reload was answered ${body.outcome} with ${part} ${serial}; run: ${run.join(', ')}`,
      );
    }
  }

  async dryRun(): Promise<void> {
    const { status, body } = await this.#world.post('reload-config', { dryRun: true });
    this.#world.expect(status === 200, 'answers', () => `a dry run is answered ${status} ${body?.message}`);
  }

  async rollback(): Promise<void> {
    const { revision } = this.#world.daemon!.reports.summary();
    const kept = this.#world.daemon!.reports.history().filter(({ kept }) => kept);
    const to = kept.length > 0 && this.#world.random() < 0.7 ? this.#world.pick(kept).revision : revision;
    const pinEnds = ++this.#world.pinEnds;
    const starts = this.#world.starts;
    const { status, body } = await this.#world.post('rollback', { to });
    this.#world.note(`rollback to ${to} is answered ${status} ${body?.code ?? body?.outcome}`);
    const isAsSaid =
      status === 200 || /^(settings_invalid|subscriber_|revision_gone|shutting_down|not_reachable)/.test(body?.code);
    this.#world.expect(isAsSaid, 'answers', () => `rollback to ${to} is answered ${status}: ${body?.message}`);
    const content = status === 200 && this.#world.daemon !== undefined && this.#world.judge.contentOf(body.revision);
    if (!content) return;
    const isLater = () => pinEnds !== this.#world.pinEnds || starts !== this.#world.starts;
    // A program that refuses one part of it keeps what it had of all.
    const refuses = (program: Program) =>
      parts.some((part) => program.sees(part) && this.#world.judge.refusedLate.has(content[part]!));
    const differs = (part: Part) => (program: Program) => program.content[part] !== content[part] && !refuses(program);
    const without = () => parts.flatMap((part) => this.#world.calm(part).filter(differs(part)));
    const isTrue = await patience.comes(() => isLater() || without().length === 0, 1_500);
    const names = without().map(({ name, content: run }) => `${name} ${show(run)}`);
    this.#world.expect(
      isTrue,
      'pin',
      () => `a rollback to ${show(content)} is answered ${body.outcome}; run: ${names.join(', ')}`,
    );
  }

  async rotate(): Promise<void> {
    const pair = this.#world.files.pair();
    const refusing = this.#world.random() < 0.2 ? this.#world.pick(this.#world.programs) : undefined;
    if (refusing) this.#world.troubles.set(pair.serial, { by: refusing.name, how: 'handler' });
    this.#world.note(`secret ${pair.serial}`);
    const [starts, pinEnds] = [this.#world.starts, this.#world.pinEnds];
    const value = Buffer.from(JSON.stringify(pair)).toString('base64');
    const before = this.#world.programs.filter((program) => program.isLive && !program.isAway);
    const { body } = await this.#world.post('rotate', { secret: 'secret', value });
    this.#world.note(`rotation to ${pair.serial} is answered ${body?.outcome ?? body?.code}`);
    if (body?.outcome !== 'rotated' || starts !== this.#world.starts || pinEnds !== this.#world.pinEnds) return;
    const newest = this.#world.files.now('secret')?.serial;
    if (newest !== pair.serial && !this.#world.choices.isShadowed) return;
    const without = before.filter(
      (program) => program.isLive && !program.isFrozen && program.content.secret !== pair.serial,
    );
    const names = without.map(({ name, content }) => `${name} ${content.secret}`).join(', ');
    this.#world.expect(
      without.length === 0,
      'answers',
      () => `rotated to ${pair.serial}, "${body.message}", but run: ${names}`,
    );
  }

  /** Holds what is shown against what is. */
  async look(): Promise<void> {
    const first = this.shown();
    await sleep(30);
    const second = this.shown();
    for (const [name, text] of first) {
      const isLasting = text.startsWith('current') && second.get(name) === text;
      const [, revision, run] = text.split(' ');
      this.#world.expect(
        !isLasting || revision === run,
        'status',
        () => `${name} is shown at revision ${revision} and runs ${run}`,
      );
    }
    const { pinned, revision } = this.#world.isServing
      ? this.#world.daemon!.reports.summary()
      : { pinned: null, revision: 0 };
    const isTrue = !pinned || pinned.revision === revision;
    this.#world.expect(isTrue, 'pin', () => `revision ${revision} is served while ${pinned!.revision} is pinned`);
  }

  async reloadsAndEdit(): Promise<void> {
    const part = this.#world.pick(parts);
    this.#world.edit(part);
    this.#world.background('reload', () => this.reload());
    await sleep(10 + this.#world.random() * this.#world.choices.verifyMs);
    this.#world.edit(part);
    this.#world.background('reload', () => this.reload());
  }

  signal(): void {
    this.#world.pinEnds++;
    this.#world.background('', () => this.#world.daemon?.reload({ cause: 'signal' }));
  }

  async unpin(): Promise<void> {
    this.#world.pinEnds++;
    await this.#world.post('unpin');
  }

  /** By name: how each program is shown, the revision that is shown, and the one that it runs. */
  shown(): ReadonlyMap<string, string> {
    if (!this.#world.isServing) return new Map();
    const shown = new Map<string, string>();
    for (const { name, view, state, revision } of this.#world.daemon!.reports.clients()) {
      if (view === 'guest') continue;
      const program = this.#world.programs.find((one) => one.name === name);
      if (program?.isLive && !program.isFrozen)
        shown.set(name, `${state} ${revision} ${program.config!.snapshot.revision}`);
    }
    return shown;
  }
}
