import { rmSync, symlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Daemon } from '../../daemon/daemon.ts';
import type { HttpAnswer } from './admin-http.ts';
import { everythingIn, expectNoCanary } from './canary.ts';
import { type Choices, choose } from './model/choices.ts';
import { contentOf, mark, type Part, parts, serialsOf } from './model/content.ts';
import { Ending } from './model/ending.ts';
import { HostileProgram } from './model/hostile.ts';
import { Judge } from './model/judge.ts';
import { Lives } from './model/lives.ts';
import { ModelDaemon } from './model/model-daemon.ts';
import { operations } from './model/operations.ts';
import { Operator } from './model/operator.ts';
import { patience } from './model/patience.ts';
import { Program } from './model/program.ts';
import { SettingsFiles } from './model/settings-files.ts';
import { Stages } from './model/stages.ts';
import { type Violation, Violations } from './model/violations.ts';
import type { PubsubServer } from './pubsub/pubsub-server.ts';
import { mulberry32 } from './random.ts';
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
  readonly operator = new Operator(this);
  readonly stages = new Stages(this);
  readonly lives = new Lives(this);
  readonly #ending = new Ending(this);
  readonly #violations = new Violations(this.story);
  readonly judge: Judge;
  readonly #google: TestGoogle | undefined;
  readonly programs: Program[] = [];
  readonly troubles = new Map<number, Trouble>();
  readonly pending = new Set<Promise<unknown>>();
  readonly reported = new Set<string>();
  readonly #hostile: readonly HostileProgram[];
  starts = 0;
  isAtRest = false;
  /** How often something happened that a pin does not outlive. */
  pinEnds = 0;

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
      onLog: (entry) => onLog?.call(this.judge, entry),
      onCrash: (error) => this.crash('a timer throws', error),
    });
    this.files = new SettingsFiles(this.test.scratch, random, google, choices.isShadowed);
    Object.assign(env, this.files.env);
    this.judge = new Judge({
      choices,
      violations: this.#violations,
      programs: () => this.programs,
      served: () => ({
        content: contentOf(this.daemon!.reports.config()),
        epoch: this.daemon!.reports.summary().epoch,
        revision: this.daemon!.reports.summary().revision,
      }),
      stage: () => (this.daemon && this.isServing ? this.daemon.reports.summary().rollout : null),
      isKnown: (token) => this.files.isKnown(token),
      stillRefuses: (program, serial) => this.#refuses(program, serial, 'verify'),
    });
    onLog = this.judge.onLog;
    const makeHostile = (_: unknown, i: number) => new HostileProgram(this.test.socket('guest'), mulberry32(seed + i));
    this.#hostile = Array.from({ length: choices.hostile }, makeHostile);
    if (choices.hostile > 0) this.files.writeGuest();
  }

  /** `hostile`: so many programs mean harm, in a view of their own. */
  static async start(seed: number, pubsub: () => Promise<PubsubServer>, hostile = 0): Promise<ModelWorld> {
    const random = mulberry32(seed);
    const choices = { ...choose(random), hostile };
    const world = new ModelWorld(
      seed,
      choices,
      random,
      choices.isGoogle ? await TestGoogle.start(await pubsub()) : undefined,
    );
    await world.test.start();
    for (const [name, view] of programs) {
      const program = world.#program(name, view);
      world.programs.push(program);
    }
    await Promise.all(world.programs.map((program) => program.open()));
    for (const one of world.#hostile) one.start();
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
      () => this.#ending.settle(),
      () => this.#ending.end(),
    ];
    try {
      for (const act of acts) if (this.violations.length === 0) await act();
    } catch (error) {
      this.crash('it ends', error as Error);
    }
  }

  readonly expect = (...args: Parameters<Violations['expect']>): void => this.#violations.expect(...args);

  /** Something failed that should not. */
  crash(what: string, error: Error): void {
    this.expect(false, 'bugs', () => `${what}: ${error.stack}`);
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

  edit(part: Part = this.pick(parts)): number {
    const serial = this.files.write(part);
    this.note(`${part} ${serial}`);
    return serial;
  }

  editRefused(): number {
    const part = this.pick(parts);
    const able = this.programs.filter((program) => program.sees(part));
    const verifying = able.filter((program) => program.parts.isVerifying);
    const how = verifying.length > 0 && this.random() < 0.6 ? 'verify' : 'handler';
    const program = this.pick(how === 'verify' ? verifying : able);
    const serial = this.editFor(program, how, part);
    this.note(`${program.name}'s ${how}`);
    return serial;
  }

  editFor({ name: by }: Program, how: Trouble['how'], part: Part): number {
    const serial = this.edit(part);
    this.troubles.set(serial, { by, how });
    return serial;
  }

  /** What refused accepts from now on. */
  heal(): void {
    this.troubles.clear();
  }

  report(message: string, program = this.someProgram()): void {
    if (!program?.config) return;
    this.note(program.name);
    this.reported.add(program.name);
    if (program.isLive && !program.isFrozen) this.judge.onRejection(program, 'it reported a failure');
    program.config.reportFailure('trouble', message);
  }

  someProgram(): Program | undefined {
    const open = this.programs.filter(({ isOpen }) => isOpen);
    const canaries = open.filter(({ name }) => this.stage?.first.includes(name));
    const program = this.pick(canaries.length > 0 && this.random() < 0.5 ? canaries : open);
    if (program) this.note(program.name);
    return program;
  }

  thaw(): void {
    for (const program of this.programs) program.thaw();
  }

  async leave(): Promise<void> {
    await this.someProgram()?.close();
  }

  async join(): Promise<void> {
    const absent = this.programs.find(({ isOpen }) => !isOpen);
    if (absent) await this.reopen(absent);
  }

  /** Goes on meanwhile; what must be answered in the end has a name. */
  background(name: string, act: () => unknown): void {
    const isDone = (async () => act())().catch((error) => {
      if (error?.code === 'ERR_ASSERTION' || error instanceof TypeError) throw error;
    });
    const running: Promise<unknown> = isDone.finally(() => this.pending.delete(running));
    if (name !== '') this.pending.add(running);
    running.catch((error) => this.crash(name, error));
  }

  async post(path: string, body: object = {}): Promise<HttpAnswer> {
    return this.test.post(path, body);
  }

  swapTwins(): void {
    this.files.swapTwins();
    this.judge.changed('first');
  }

  /** What never was there is no reason to look again and again. */
  async dangle(): Promise<void> {
    const link = this.test.scratch.path('secrets/x.yaml');
    await sleep(100);
    const { changes } = this.judge;
    symlinkSync('/nonexistent', link);
    await sleep(1_000);
    const more = this.judge.changes - changes;
    this.expect(more <= 5, 'idle', () => `a dangling link is reloaded ${more} times in 10 s`);
    rmSync(link);
  }

  /** Real milliseconds until an edit has come to every program; `undefined` where the world is not at rest any more. */
  async waitForEdit(): Promise<number | undefined> {
    const { hotReload, isGoogle, ending } = this.choices;
    if (!this.isAtRest || !hotReload || isGoogle || ending === 'restart without sources') return undefined;
    const at = performance.now();
    const serial = this.edit('second');
    const isThere = () => this.programs.every(({ content }) => content.second === serial);
    const isTrue = await patience.comes(isThere, 3_000);
    this.expect(isTrue, 'converge', () => `an edit of second does not come to all`);
    return performance.now() - at;
  }

  async stop(): Promise<void> {
    for (const one of this.#hostile) await one.stop();
    for (const program of this.programs) await program.close();
    await this.test.stop().catch((error) => this.crash('it does not stop', error));
    await this.#google?.stop();
    const written = this.test.logText + everythingIn(this.test.scratch.path('state'));
    const at = written.indexOf(mark);
    const around = at < 0 ? '' : written.slice(Math.max(0, at - 200), at);
    this.expect(at < 0, 'leak', () => `a value stands behind: ${around.slice(around.lastIndexOf('\n') + 1)}`);
    try {
      expectNoCanary('the log or the state folder', written, this.files.tokens.slice(-100));
    } catch (error) {
      this.expect(false, 'leak', () => (error as Error).message);
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

  async reopen(program: Program): Promise<void> {
    const again = this.#program(program.name, program.parts.view);
    this.programs.splice(this.programs.indexOf(program), 1, again);
    this.reported.delete(program.name);
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
      onHeardClosed: ({ name }) => this.expect(false, 'closed', () => name),
      refuses: (program, content, how) => serialsOf(content).some((serial) => this.#refuses(program, serial, how)),
      onVerdict: (...verdict) => this.judge.onVerdict(...verdict),
      onHandlerRefusal: (...refusal) => this.judge.onHandlerRefusal(...refusal),
      onAccepted: (...accepted) => this.judge.onAccepted(...accepted),
    });
  }

  #refuses({ name }: Program, serial: number, how: Trouble['how']): boolean {
    const trouble = this.troubles.get(serial);
    return trouble?.by === name && trouble.how === how;
  }

  get isServing(): boolean {
    try {
      return this.daemon!.reports.summary().revision > 0;
    } catch {
      return false;
    }
  }

  get stage() {
    return this.isServing ? this.daemon!.reports.summary().rollout : null;
  }

  /** Programs that see a part, that the daemon can reach, and that have refused nothing lately. */
  calm(part: Part): readonly Program[] {
    const hasRefused = (program: Program) => [...this.troubles.values()].some(({ by }) => by === program.name);
    const isCalm = (program: Program) => program.isLive && !program.isFrozen && !program.isAway && !hasRefused(program);
    return this.programs.filter((program) => isCalm(program) && program.sees(part));
  }

  note(text: string): void {
    this.story.push(`  ${text}`);
  }

  #options(): object {
    const { canary, isUrgent, hasKey, keep, isGoogle, isShadowed, hotReload, hostile } = this.choices;
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
      views: {
        default: { ...(hostile > 0 && { exclude: ['guest'] }), mayReload: true },
        part: { include: ['second', 'secret'], mayReload: true },
        ...(hostile > 0 && { guest: { include: ['guest'] } }),
      },
    };
  }
}
