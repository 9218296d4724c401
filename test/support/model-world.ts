import { renameSync, rmSync, symlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Daemon } from '../../daemon/daemon.ts';
import type { HttpAnswer } from './admin-http.ts';
import { everythingIn, expectNoCanary } from './canary.ts';
import { type Choices, choose } from './model/choices.ts';
import { contentOf, mark, type Part, parts, serialsOf, show, textOf } from './model/content.ts';
import { Judge } from './model/judge.ts';
import { ModelDaemon, times } from './model/model-daemon.ts';
import { operations } from './model/operations.ts';
import { Program } from './model/program.ts';
import { SettingsFiles } from './model/settings-files.ts';
import { type Violation, Violations } from './model/violations.ts';
import type { PubsubServer } from './pubsub/pubsub-server.ts';
import { mulberry32 } from './random.ts';
import { until } from './until.ts';
import { TestGoogle } from './use-google.ts';

/** Who refuses a number, and how, until it is healed. */
interface Trouble {
  readonly by: string;
  readonly how: 'verify' | 'handler';
}

const programs = [
  ['plain', 'default'],
  ['verifying', 'default'],
  ['narrow', 'part'],
  ['second', 'default'],
  ['slim', 'part'],
  ['third', 'default'],
] as const;

/** Names of the only operations, where not all are wanted. */
const only = (process.env.HOTCONF_MODEL_ONLY ?? '').split(';').filter(Boolean);
/** Real milliseconds in which everything has to have come to the programs at the end. */
const settlesWithinMs = 9_000;

/**
 * A daemon with files, sometimes a Secret Manager, some programs, and things that happen to them. All that is chosen
 * follows from the seed; how it interleaves does not. What breaks a rule is collected.
 */
export class ModelWorld {
  readonly choices: Choices;
  readonly random: () => number;
  readonly test: ModelDaemon;
  readonly files: SettingsFiles;
  /** What was done, for a failure's message. */
  readonly story: string[] = [];
  readonly #violations = new Violations(this.story);
  readonly #judge: Judge;
  readonly #google: TestGoogle | undefined;
  readonly #programs: Program[] = [];
  readonly #troubles = new Map<number, Trouble>();
  readonly #pending = new Set<Promise<unknown>>();
  readonly #reported = new Set<string>();
  #starts = 0;
  #isAtRest = false;
  /** How often something happened that a pin does not outlive. */
  #pinEnds = 0;

  private constructor(seed: number, choices: Choices, random: () => number, google: TestGoogle | undefined) {
    this.random = random;
    this.choices = choices;
    this.#google = google;
    const shown = JSON.stringify(choices, (_, value) => (typeof value === 'number' ? Math.round(value) : value));
    this.story.push(`seed ${seed}: ${shown}`);
    let onLog: Judge['onLog'] | undefined;
    const env: NodeJS.ProcessEnv = {};
    this.test = new ModelDaemon({
      options: this.#options(),
      env,
      onLog: (entry) => onLog?.call(this.#judge, entry),
      onCrash: (error) => this.crash('a timer throws', error),
    });
    this.files = new SettingsFiles(this.test.scratch, random, google, choices.isShadowed);
    Object.assign(env, this.files.env);
    this.#judge = new Judge({
      choices,
      violations: this.#violations,
      programs: () => this.#programs,
      served: () => ({
        content: contentOf(this.daemon!.reports.config()),
        epoch: this.daemon!.reports.summary().epoch,
        revision: this.daemon!.reports.summary().revision,
      }),
      stage: () => (this.daemon && this.#isServing ? this.daemon.reports.summary().rollout : null),
      isKnown: (token) => this.files.isKnown(token),
      stillRefuses: (program, serial) => this.#refuses(program, serial, 'verify'),
    });
    onLog = this.#judge.onLog;
  }

  static async start(seed: number, pubsub: () => Promise<PubsubServer>): Promise<ModelWorld> {
    const random = mulberry32(seed);
    const choices = choose(random);
    const world = new ModelWorld(
      seed,
      choices,
      random,
      choices.isGoogle ? await TestGoogle.start(await pubsub()) : undefined,
    );
    await world.test.start();
    for (const [name, view] of programs) {
      const program = world.#program(name, view);
      world.#programs.push(program);
    }
    await Promise.all(world.#programs.map((program) => program.open()));
    return world;
  }

  get violations(): readonly Violation[] {
    return this.#violations.found;
  }

  get daemon(): Daemon | undefined {
    return this.test.daemon;
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.random() * items.length)]!;
  }

  /** The whole life of a world, or until a rule is broken. */
  async live(): Promise<void> {
    const acts = [
      ...Array.from({ length: this.choices.steps }, () => () => this.#step()),
      () => this.#settle(),
      () => this.#end(),
    ];
    try {
      for (const act of acts) if (this.violations.length === 0) await act();
    } catch (error) {
      this.crash('it ends', error as Error);
    }
  }

  /** Something failed that should not. */
  crash(what: string, error: Error): void {
    this.#violations.expect(false, 'bugs', () => `${what}: ${error.stack}`);
  }

  async #step(): Promise<void> {
    const possible = operations.filter(
      ({ name, needs = () => true }) => needs(this) && (only.length === 0 || only.includes(name)),
    );
    let at = this.random() * possible.reduce((sum, { weight }) => sum + weight, 0);
    const isIt = ({ weight }: (typeof possible)[number]) => {
      at -= weight;
      return at < 0;
    };
    const { name, act } = possible.find(isIt) ?? possible[0]!;
    this.story.push(name);
    await act(this);
    await sleep(this.random() < 0.5 ? this.random() * 5 : this.random() * 60);
  }

  pass(ms: number): Promise<void> {
    return sleep(ms);
  }

  // --- what operations do ---

  edit(part: Part = this.pick(parts)): number {
    const serial = this.files.write(part);
    this.#note(`${part} ${serial}`);
    return serial;
  }

  editRefused(): number {
    const part = this.pick(parts);
    const able = this.#programs.filter((program) => program.sees(part));
    const verifying = able.filter((program) => program.parts.isVerifying);
    const how = verifying.length > 0 && this.random() < 0.6 ? 'verify' : 'handler';
    const program = this.pick(how === 'verify' ? verifying : able);
    const serial = this.#editFor(program, how, part);
    this.#note(`${program.name}'s ${how}`);
    return serial;
  }

  #editFor({ name: by }: Program, how: Trouble['how'], part: Part): number {
    const serial = this.edit(part);
    this.#troubles.set(serial, { by, how });
    return serial;
  }

  /** What refused accepts from now on. */
  heal(): void {
    this.#troubles.clear();
  }

  report(message: string, program = this.someProgram()): void {
    if (!program?.config) return;
    this.#note(program.name);
    this.#reported.add(program.name);
    if (program.isLive && !program.isFrozen) this.#judge.onRejection(program, 'it reported a failure');
    program.config.reportFailure('trouble', message);
  }

  someProgram(): Program | undefined {
    const open = this.#programs.filter(({ isOpen }) => isOpen);
    const canaries = open.filter(({ name }) => this.#stage?.first.includes(name));
    const program = this.pick(canaries.length > 0 && this.random() < 0.5 ? canaries : open);
    if (program) this.#note(program.name);
    return program;
  }

  thaw(): void {
    for (const program of this.#programs) program.thaw();
  }

  async leave(): Promise<void> {
    await this.someProgram()?.close();
  }

  async join(): Promise<void> {
    const absent = this.#programs.find(({ isOpen }) => !isOpen);
    if (absent) await this.#reopen(absent);
  }

  /** Goes on meanwhile; what must be answered in the end has a name. */
  background(name: string, act: () => unknown): void {
    const isDone = (async () => act())().catch((error) => {
      if (error?.code === 'ERR_ASSERTION' || error instanceof TypeError) throw error;
    });
    const running: Promise<unknown> = isDone.finally(() => this.#pending.delete(running));
    if (name !== '') this.#pending.add(running);
    running.catch((error) => this.crash(name, error));
  }

  async post(path: string, body: object = {}): Promise<HttpAnswer> {
    return this.test.post(path, body);
  }

  /** A program that got what is served from this life of the daemon, which therefore knows its values. */
  #upToDate(): Program | undefined {
    const { revision } = this.daemon!.reports.summary();
    const knows = ({ name, config }: Program) =>
      config?.snapshot.revision === revision && this.#judge.acceptedBy(revision).has(name);
    return this.#programs.find(knows);
  }

  swapTwins(): void {
    this.files.swapTwins();
    this.#judge.changed('first');
  }

  async reload(): Promise<void> {
    this.#pinEnds++;
    const [at, starts] = [performance.now(), this.#starts];
    const said = parts.map((part) => [part, this.files.now(part)?.serial] as const);
    const { token } = this.#upToDate()?.config?.settings.second ?? {};
    const reason = this.random() < 0.5 && token ? `because of ${token}` : 'because';
    const { status, body } = await this.post('reload-config', { reason, acceptMissing: this.random() < 0.3 });
    const isMine = status !== 422 || body.code !== 'source_missing' || /x\.yaml/.test(body.message);
    this.#violations.expect(isMine, 'answers', () => `an operator's reload is answered: ${body.message}`);
    if (status !== 200 || this.choices.canary) return;
    for (const [part, serial] of said) {
      if (serial === undefined || !this.files.isFile(part)) continue;
      const isRun = () => {
        const is = this.files.since(part, at);
        const run = this.#calm(part).map(({ content }) => content[part]!);
        return run.every((one) => is.includes(one));
      };
      // Who refuses it when it has come keeps what it had.
      const isRefused = () => this.#judge.refusedLate.has(this.files.now(part)?.serial ?? serial);
      const isOver = () => this.#starts !== starts || this.daemon!.reports.summary().pinned || isRun() || isRefused();
      await until('the reload has come to the programs', isOver, 1_500).catch(() => {
        const run = this.#calm(part).map(({ name, content }) => `${name} ${content[part]}`);
        this.#violations.expect(
          false,
          'answers',
          () => `reload was answered ${body.outcome} with ${part} ${serial}; run: ${run.join(', ')}`,
        );
      });
    }
  }

  async dryRun(): Promise<void> {
    const { status, body } = await this.post('reload-config', { dryRun: true });
    this.#violations.expect(status === 200, 'answers', () => `a dry run is answered ${status} ${body?.message}`);
  }

  async rollback(): Promise<void> {
    const { revision } = this.daemon!.reports.summary();
    const kept = this.daemon!.reports.history().filter(({ kept }) => kept);
    const to = kept.length > 0 && this.random() < 0.7 ? this.pick(kept).revision : revision;
    const pinEnds = ++this.#pinEnds;
    const starts = this.#starts;
    const { status, body } = await this.post('rollback', { to });
    this.#note(`rollback to ${to} is answered ${status} ${body?.code ?? body?.outcome}`);
    const isAsSaid =
      status === 200 || /^(settings_invalid|subscriber_|revision_gone|shutting_down|not_reachable)/.test(body?.code);
    this.#violations.expect(isAsSaid, 'answers', () => `rollback to ${to} is answered ${status}: ${body?.message}`);
    const content = status === 200 && this.daemon !== undefined && this.#judge.contentOf(body.revision);
    if (!content) return;
    const isLater = () => pinEnds !== this.#pinEnds || starts !== this.#starts;
    const differs = (part: Part) => (program: Program) =>
      program.content[part] !== content[part] && !this.#judge.refusedLate.has(content[part]!);
    const without = () => parts.flatMap((part) => this.#calm(part).filter(differs(part)));
    await until('all run it', () => isLater() || without().length === 0, 1_500).catch(() => {
      const names = without().map(({ name, content: run }) => `${name} ${show(run)}`);
      this.#violations.expect(
        names.length === 0,
        'pin',
        () => `a rollback to ${show(content)} is answered ${body.outcome}; run: ${names.join(', ')}`,
      );
    });
  }

  async rotate(): Promise<void> {
    const pair = this.files.pair();
    const refusing = this.random() < 0.2 ? this.pick(this.#programs) : undefined;
    if (refusing) this.#troubles.set(pair.serial, { by: refusing.name, how: 'handler' });
    this.#note(`secret ${pair.serial}`);
    const [starts, pinEnds] = [this.#starts, this.#pinEnds];
    const value = Buffer.from(JSON.stringify(pair)).toString('base64');
    const before = this.#programs.filter((program) => program.isLive && !program.isAway);
    const { body } = await this.post('rotate', { secret: 'secret', value });
    this.#note(`rotation to ${pair.serial} is answered ${body?.outcome ?? body?.code}`);
    if (body?.outcome !== 'rotated' || starts !== this.#starts || pinEnds !== this.#pinEnds) return;
    const newest = this.files.now('secret')?.serial;
    if (newest !== pair.serial && !this.choices.isShadowed) return;
    const without = before.filter(
      (program) => program.isLive && !program.isFrozen && program.content.secret !== pair.serial,
    );
    const names = without.map(({ name, content }) => `${name} ${content.secret}`).join(', ');
    this.#violations.expect(
      without.length === 0,
      'answers',
      () => `rotated to ${pair.serial}, "${body.message}", but run: ${names}`,
    );
  }

  /** Holds what is shown against what is. */
  async look(): Promise<void> {
    const first = this.#shown();
    await sleep(30);
    const second = this.#shown();
    for (const [name, text] of first) {
      const isLasting = text.startsWith('current') && second.get(name) === text;
      const [, revision, run] = text.split(' ');
      this.#violations.expect(
        !isLasting || revision === run,
        'status',
        () => `${name} is shown at revision ${revision} and runs ${run}`,
      );
    }
    const { pinned, revision } = this.#isServing ? this.daemon!.reports.summary() : { pinned: null, revision: 0 };
    const isTrue = !pinned || pinned.revision === revision;
    this.#violations.expect(isTrue, 'pin', () => `revision ${revision} is served while ${pinned!.revision} is pinned`);
  }

  async restart(meanwhile: () => void = () => {}): Promise<void> {
    this.#judge.isStopping = true;
    await this.test.stop();
    const isLeft = this.test.isSocketThere;
    this.#violations.expect(!isLeft, 'stopped', () => 'the socket is left behind');
    meanwhile();
    if (!isLeft) await this.#startAgain();
  }

  async kill(): Promise<void> {
    for (const program of this.#programs) {
      program.isBarred = true;
      const { isAway, disturbedAt } = program;
      program.cut();
      // The daemon that comes back has to wait for it.
      Object.assign(program, { isAway, disturbedAt });
    }
    await this.test.kill();
    for (const program of this.#programs) program.isBarred = false;
    await this.#startAgain();
  }

  async stopInStart(): Promise<void> {
    this.#judge.isStopping = true;
    await this.test.stop();
    this.#judge.restarts();
    this.#starts++;
    const starting = this.test.start().catch(() => {});
    await sleep(this.random() * 30);
    this.#judge.isStopping = true;
    await this.test.stop();
    await starting;
    if (this.test.isSocketThere)
      this.#violations.expect(false, 'stopped', () => 'it was stopped in its start, and goes on');
    else await this.#startAgain();
  }

  async refusedAndRestart(): Promise<void> {
    const serial = this.editRefused();
    await until('it is refused', () => this.#judge.hasRefused(serial), 400 + this.choices.verifyMs).catch(() => {});
    await sleep(this.random() * 30);
    await (this.random() < 0.5 ? this.restart() : this.kill());
  }

  async stagedAndRestart(): Promise<void> {
    await this.#editUntilStaged();
    await (this.random() < 0.5 ? this.restart() : this.kill());
  }

  /** One of the first fails while another change is on its way. */
  async stagedAndReport(): Promise<void> {
    const first = await this.#editUntilStaged('first');
    this.edit('second');
    await sleep(10 + this.random() * (20 + this.choices.verifyMs));
    if (first) this.report('it does not work with this', first);
  }

  /** One of the first refuses what it was given while another change, which it does not see, is on its way. */
  async stagedAndRefused(): Promise<void> {
    const narrow = this.#programs.filter((program) => !program.sees('first'));
    const slim = narrow.find(({ name }) => this.choices.canary?.subscribers.includes(name)) ?? this.pick(narrow);
    this.#note(`${slim.name}'s handler`);
    await this.#editUntilStaged('second', slim);
    this.edit('first');
    await sleep(this.choices.handlerMs + this.choices.canary!.bakeMs / times + 50);
  }

  async stagedAndPinned(): Promise<void> {
    const first = await this.#editUntilStaged();
    const { revision } = this.daemon!.reports.summary();
    this.#pinEnds++;
    await this.post('rollback', { to: revision });
    if (first) this.report('it does not work with this', first);
    await sleep(50);
    await this.look();
  }

  /** One of the first is away while another change is staged. */
  async stagedAndCut(): Promise<void> {
    const first = await this.#editUntilStaged('first');
    first?.cut(80 + this.random() * 100);
    this.edit('second');
    await sleep(250);
    await this.look();
  }

  /** Returns one of the first, if it came to that. */
  async #editUntilStaged(part: Part = this.pick(parts), refusing?: Program): Promise<Program | undefined> {
    const before = this.#stage?.revision;
    if (refusing) this.#editFor(refusing, 'handler', part);
    else this.edit(part);
    const isStaged = () => this.#stage && this.#stage.revision !== before;
    await until('it is staged', isStaged, 400 + this.choices.verifyMs).catch(() => {});
    return this.#programs.find(({ name, isOpen }) => isOpen && this.#stage?.first.includes(name));
  }

  async reloadsAndEdit(): Promise<void> {
    const part = this.pick(parts);
    this.edit(part);
    this.background('reload', () => this.reload());
    await sleep(10 + this.random() * this.choices.verifyMs);
    this.edit(part);
    this.background('reload', () => this.reload());
  }

  signal(): void {
    this.#pinEnds++;
    this.background('', () => this.daemon?.reload({ cause: 'signal' }));
  }

  async unpin(): Promise<void> {
    this.#pinEnds++;
    await this.post('unpin');
  }

  /** What never was there is no reason to look again and again. */
  async dangle(): Promise<void> {
    const link = this.test.scratch.path('secrets/x.yaml');
    await sleep(100);
    const { changes } = this.#judge;
    symlinkSync('/nonexistent', link);
    await sleep(1_000);
    const more = this.#judge.changes - changes;
    this.#violations.expect(more <= 5, 'idle', () => `a dangling link is reloaded ${more} times in 10 s`);
    rmSync(link);
  }

  // --- the end of a run ---

  async #settle(): Promise<void> {
    this.story.push('the end');
    this.thaw();
    this.heal();
    const answered = Promise.all(this.#pending).then(() => true);
    const isAnswered = await Promise.race([answered, sleep(8_000, false)]);
    this.#violations.expect(isAnswered, 'answers', () => 'an operator is not answered');
    this.#pinEnds++;
    for (const program of this.#programs) {
      if (!program.isOpen) await this.#reopen(program);
      if (this.#reported.has(program.name)) program.config?.reportRecovery('trouble');
    }
    await this.look();
    if (this.choices.settlesAlone) {
      this.files.repair();
      for (const part of parts) if (this.#judge.refusedLate.has(this.files.now(part)!.serial)) this.edit(part);
      await until('it is not pinned', async () => {
        if (!this.daemon!.reports.summary().pinned) return true;
        await this.post('unpin');
        return false;
      });
    } else {
      for (const part of parts) this.edit(part);
      await this.#reloadAtLast();
    }
    await this.#converge();
    await this.look();
    await this.#checkDelivery();
  }

  async #reloadAtLast(): Promise<void> {
    const ask = () => this.post('reload-config', { acceptMissing: true });
    let { status, body } = await ask();
    // Programs that have just been thawed may be late.
    for (let i = 0; i < 3 && body?.code === 'subscriber_silent'; i++) ({ status, body } = await ask());
    // A link that led nowhere and is gone is known to be gone after the next look.
    if (body?.code === 'source_missing') ({ status, body } = await ask());
    this.#violations.expect(status === 200, 'answers', () => `the last reload is answered ${status} ${body?.message}`);
  }

  async #converge(): Promise<void> {
    const deadline = performance.now() + settlesWithinMs;
    const isThere = () => this.#programs.every((program) => this.#runsAll(program));
    while (!isThere() && performance.now() < deadline) {
      await sleep(20);
      if (!this.choices.settlesAlone) continue;
      // One of its parts changes: then the others are to be served too.
      const bad = Object.keys(this.#judge.quarantined(this.files.content) ?? {});
      // A withdrawal may have been kept by a daemon that was killed before it could log it.
      const { held } = this.daemon!.reports.summary();
      const names = held.filter(({ kind }) => kind === 'withdrawn').flatMap((one) => one.parts);
      bad.push(...parts.filter((part) => names.some((name) => name.includes(part))));
      if (bad.length > 0) this.edit(this.pick(bad) as Part);
      for (const part of parts) if (this.#judge.refusedLate.has(this.files.now(part)!.serial)) this.edit(part);
    }
    this.#isAtRest = isThere();
    this.#violations.expect(this.#isAtRest, 'converge', () => this.#differences());
  }

  /** Accepted by so many: no fewer than have accepted it. */
  async #checkDelivery(): Promise<void> {
    const { revision } = this.daemon!.reports.summary();
    const accepted = this.#judge.acceptedBy(revision).size;
    const counted = () =>
      this.daemon!.reports.history().find((one) => one.outcome === 'committed' && one.revision === revision)?.delivery
        ?.accepted;
    if (this.violations.length > 0 || accepted === 0 || this.#starts > 0) return;
    await until('all are counted', () => (counted() ?? accepted) >= accepted, 500).catch(() =>
      this.#violations.expect(
        false,
        'delivery',
        () => `revision ${revision} was accepted by ${accepted}, and ${counted()} are counted`,
      ),
    );
  }

  async #end(): Promise<void> {
    const { ending } = this.choices;
    if (!this.#isAtRest) return;
    this.story.push(ending);
    if (ending === 'idle' && !this.choices.isGoogle) {
      await sleep(300);
      const { reloads } = this.#judge;
      await sleep(500);
      const more = this.#judge.reloads - reloads;
      this.#violations.expect(more <= 1, 'idle', () => `${more} reloads in 5 s of rest`);
    } else if (/restart/.test(ending)) await this.#endWithRestart(ending === 'restart without sources');
  }

  async #endWithRestart(isWithout: boolean): Promise<void> {
    const { scratch } = this.test;
    const served = this.#judgeServed();
    this.#judge.isStopping = true;
    await this.test.stop();
    if (isWithout) renameSync(scratch.path('secrets'), scratch.path('away'));
    this.#judge.restarts();
    this.#starts++;
    await this.test
      .start()
      .catch((error) => this.#violations.expect(false, 'kept', () => `it does not start: ${error.message}`));
    if (this.violations.length > 0) return;
    const isBack = () => this.#programs.every((program) => program.isLive && this.#runsAll(program));
    await until('all are back', isBack, 5_000).catch(() =>
      this.#violations.expect(false, isWithout ? 'kept' : 'steady', () => this.#differences()),
    );
    const is = this.#judgeServed();
    this.#violations.expect(
      is === served,
      isWithout ? 'kept' : 'steady',
      () => `${served} was served, and after a restart ${is}`,
    );
  }

  #judgeServed(): string {
    const { epoch, revision } = this.daemon!.reports.summary();
    return `revision ${revision} of ${epoch}`;
  }

  async stop(): Promise<void> {
    for (const program of this.#programs) await program.close();
    await this.test.stop().catch((error) => this.crash('it does not stop', error));
    await this.#google?.stop();
    const written = this.test.logText + everythingIn(this.test.scratch.path('state'));
    const at = written.indexOf(mark);
    const around = at < 0 ? '' : written.slice(Math.max(0, at - 200), at);
    this.#violations.expect(
      at < 0,
      'leak',
      () => `a value stands behind: ${around.slice(around.lastIndexOf('\n') + 1)}`,
    );
    try {
      expectNoCanary('the log or the state folder', written, this.files.tokens.slice(-100));
    } catch (error) {
      this.#violations.expect(false, 'leak', () => (error as Error).message);
    }
    if (process.env.HOTCONF_MODEL_LOG === '2') console.log([...this.story, ...this.#logLines()].join('\n'));
    if (process.env.HOTCONF_MODEL_LOG === '1' && this.violations.length > 0) this.story.push(...this.#logLines());
    this.test.scratch.remove();
  }

  #logLines(): readonly string[] {
    const lines = this.test.logText
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    return lines.map(
      ({ time, event, message, revision, trigger }) =>
        `${time.slice(17)} ${event} ${trigger ?? ''} ${revision ?? ''}: ${message}`,
    );
  }

  /** A start may find nothing that it could serve, and no last known good yet; then a person corrects it. */
  async #startAgain(): Promise<void> {
    this.#judge.restarts();
    this.#starts++;
    const start = async () => {
      const starting = this.test.start();
      if (this.random() < 0.15) this.background('', () => this.daemon?.reload({ cause: 'signal' }));
      await starting;
    };
    try {
      await start();
    } catch {
      this.#note('it did not start');
      for (const part of parts) this.edit(part);
      this.#judge.restarts();
      await start();
    }
    if (this.random() < 0.2) this.background('reload', () => this.reload());
  }

  async #reopen(program: Program): Promise<void> {
    const again = this.#program(program.name, program.parts.view);
    this.#programs.splice(this.#programs.indexOf(program), 1, again);
    this.#reported.delete(program.name);
    await again.open();
  }

  #program(name: string, view: string): Program {
    return new Program({
      name,
      view,
      socket: this.test.socket(view),
      isVerifying: this.choices.verifying.includes(name),
      verifyMs: this.choices.verifyMs,
      handlerMs: this.choices.handlerMs,
      onHeardClosed: ({ name }) => this.#violations.expect(false, 'closed', () => name),
      refuses: (program, content, how) => serialsOf(content).some((serial) => this.#refuses(program, serial, how)),
      onVerdict: (...verdict) => this.#judge.onVerdict(...verdict),
      onHandlerRefusal: (...refusal) => this.#judge.onHandlerRefusal(...refusal),
      onAccepted: (...accepted) => this.#judge.onAccepted(...accepted),
    });
  }

  #refuses({ name }: Program, serial: number, how: Trouble['how']): boolean {
    const trouble = this.#troubles.get(serial);
    return trouble?.by === name && trouble.how === how;
  }

  get #isServing(): boolean {
    try {
      return this.daemon!.reports.summary().revision > 0;
    } catch {
      return false;
    }
  }

  get #stage() {
    return this.#isServing ? this.daemon!.reports.summary().rollout : null;
  }

  /** Programs that see a part, that the daemon can reach, and that have refused nothing lately. */
  #calm(part: Part): readonly Program[] {
    const hasRefused = (program: Program) => [...this.#troubles.values()].some(({ by }) => by === program.name);
    const isCalm = (program: Program) => program.isLive && !program.isFrozen && !program.isAway && !hasRefused(program);
    return this.#programs.filter((program) => isCalm(program) && program.sees(part));
  }

  /** By name: how each program is shown, the revision that is shown, and the one that it runs. */
  #shown(): ReadonlyMap<string, string> {
    if (!this.#isServing) return new Map();
    const shown = new Map<string, string>();
    for (const { name, state, revision } of this.daemon!.reports.clients()) {
      const program = this.#programs.find((one) => one.name === name);
      if (program?.isLive && !program.isFrozen)
        shown.set(name, `${state} ${revision} ${program.config!.snapshot.revision}`);
    }
    return shown;
  }

  #runsAll(program: Program): boolean {
    const { first, abc, ...narrow } = this.files.settings;
    const all = program.parts.view === 'default' ? { first, abc, ...narrow } : narrow;
    return program.config !== undefined && textOf(program.config.settings) === textOf(all);
  }

  #differences(): string {
    const run = this.#programs.map(
      ({ name, content, config }) =>
        `${name} ${show(content)} ${config?.settings.abc ?? ''} (${config?.link.kind} ${config?.link.kind === 'stale' ? config.link.reason : ''})`,
    );
    const sources = this.daemon?.reports.summary().sources.map(({ problem }) => problem?.message ?? 'current');
    return `the sources say ${show(this.files.content)} ${this.files.settings.abc}; ${run.join('; ')}; ${sources?.join('; ')}`;
  }

  #note(text: string): void {
    this.story.push(`  ${text}`);
  }

  #options(): object {
    const { canary, isUrgent, hasKey, keep, isGoogle, isShadowed, hotReload } = this.choices;
    const secrets = [{ secret: 'secret', at: 'secret', format: 'json' }];
    return {
      hotReload,
      sources: {
        files: [{ path: './secrets' }],
        ...(isGoogle && { gcp: this.#google!.options({ secrets }) }),
        ...(isShadowed && { env: { prefix: 'HC_' } }),
      },
      // A busy machine is ten times as slow for a clock that is so fast.
      reload: { quiet: '80ms', rescan: '2s', startWait: '0s', deadline: '300s' },
      lastKnownGood: { keep, ...(hasKey && { keyFile: './lkg.key' }) },
      rollout: {
        strategy: canary ? 'canary' : 'all',
        verifyTimeout: '4s',
        ...(canary && {
          canary: {
            share: canary.share,
            bake: `${canary.bakeMs}ms`,
            maxRejected: canary.maxRejected,
            subscribers: canary.subscribers,
          },
        }),
        ...(isUrgent && { urgent: ['secret'] }),
      },
      views: { default: {}, part: { include: ['second', 'secret'] } },
    };
  }
}
