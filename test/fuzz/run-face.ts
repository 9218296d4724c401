import { createHash } from 'node:crypto';
import { setImmediate as immediate, setTimeout as sleep } from 'node:timers/promises';
import { Coverage, type Figures } from './coverage.ts';
import { type Face, Finding, must } from './face.ts';
import { endlessGrowth, heldBytes } from './memory.ts';
import { Mutator } from './mutate.ts';

export interface RunLimits {
  readonly seed: number;
  /** The run ends after this many inputs, or this many seconds. */
  readonly count?: number;
  readonly seconds?: number;
  /** Called with each input before it is tried. */
  readonly onInput?: (input: Buffer) => void;
}

/** What was found, with the first input that showed it. */
export interface Found {
  readonly what: string;
  readonly input: Buffer;
  /** Inputs that showed it. */
  times: number;
}

export interface FaceReport {
  readonly inputs: number;
  readonly seconds: number;
  /** Of all inputs in order: equal digests mean equal inputs. */
  readonly digest: string;
  readonly corpus: number;
  readonly coverage: Figures;
  readonly findings: readonly Found[];
}

const batch = 100;
const batchesBetweenSamples = 10;
const maxAnswerMs = 30_000;
/** Longer inputs would make all those that come of them slow. */
const maxKeptBytes = 8 * 1024;
const maxKept = 2_000;

/** Tries inputs on a face until a limit is reached. Never throws for what an input does. */
export async function runFace(face: Face, limits: RunLimits): Promise<FaceReport> {
  using watch = new ProcessWatch();
  using coverage = new Coverage(face.modules);
  return await new FaceRun(face, limits, watch, coverage).run();
}

/** Tries one input as a run does; `undefined` when nothing was found. */
export async function tryInput(face: Face, input: Buffer): Promise<string | undefined> {
  using watch = new ProcessWatch();
  return (await finding(() => face.try(input), watch, face.maxBusyMs)) ?? (await finding(() => face.check?.(), watch));
}

class FaceRun {
  readonly #face: Face;
  readonly #limits: RunLimits;
  readonly #watch: ProcessWatch;
  readonly #coverage: Coverage;
  readonly #mutator: Mutator;
  readonly #corpus: Buffer[];
  readonly #found = new Map<string, Found>();
  readonly #digest = createHash('sha256');
  readonly #memory: number[] = [];
  readonly #startedAt = performance.now();
  #inputs = 0;

  constructor(face: Face, limits: RunLimits, watch: ProcessWatch, coverage: Coverage) {
    this.#face = face;
    this.#limits = limits;
    this.#watch = watch;
    this.#coverage = coverage;
    this.#mutator = new Mutator(limits.seed, face.words);
    this.#corpus = [...face.corpus];
  }

  async run(): Promise<FaceReport> {
    await this.#runBatch(this.#face.corpus.slice(0, this.#limits.count));
    for (let batches = 0; !this.#isOver; batches++) {
      const size = Math.min(batch, (this.#limits.count ?? Number.POSITIVE_INFINITY) - this.#inputs);
      await this.#runBatch(Array.from({ length: size }, () => this.#mutator.next(this.#corpus)));
      if (batches % batchesBetweenSamples === 0) this.#memory.push(heldBytes());
    }
    const growth = endlessGrowth(this.#memory);
    if (growth > 0) this.#report('memory grows without an end', Buffer.alloc(0));
    return {
      inputs: this.#inputs,
      seconds: (performance.now() - this.#startedAt) / 1_000,
      digest: this.#digest.digest('hex').slice(0, 12),
      corpus: this.#corpus.length,
      coverage: this.#coverage.figures,
      findings: [...this.#found.values()],
    };
  }

  get #isOver(): boolean {
    const { count = Number.POSITIVE_INFINITY, seconds = Number.POSITIVE_INFINITY } = this.#limits;
    return this.#inputs >= count || performance.now() - this.#startedAt >= seconds * 1_000;
  }

  async #runBatch(inputs: readonly Buffer[]): Promise<void> {
    for (const [i, input] of inputs.entries()) {
      if (i > 0 && this.#isOver) break;
      await this.#try(input);
    }
    const what = await finding(() => this.#face.check?.(), this.#watch);
    if (what) this.#report(what, inputs.at(-1)!);
    const taken = this.#coverage.take();
    if (this.#face.hasFeedback && this.#coverage.isNew(taken)) await this.#keepWhatIsNew(inputs);
    this.#coverage.add(taken);
  }

  async #try(input: Buffer): Promise<void> {
    this.#inputs++;
    this.#digest.update(`${input.length} `).update(input);
    this.#limits.onInput?.(input);
    const what = await finding(() => this.#face.try(input), this.#watch, this.#face.maxBusyMs);
    if (what) this.#report(what, input);
  }

  /** Taking coverage costs more than most inputs do, so that it is taken of a batch, and of each input only after news. */
  async #keepWhatIsNew(inputs: readonly Buffer[]): Promise<void> {
    for (const input of inputs) {
      await finding(() => this.#face.try(input), this.#watch);
      const taken = this.#coverage.take();
      if (!this.#coverage.isNew(taken)) continue;
      this.#coverage.add(taken);
      if (input.length <= maxKeptBytes && this.#corpus.length < maxKept) this.#corpus.push(input);
    }
  }

  #report(what: string, input: Buffer): void {
    const known = this.#found.get(what);
    if (known) known.times++;
    else this.#found.set(what, { what, input, times: 1 });
  }
}

/** What is found while something is done: a throw, a rejection that nobody caught, an exit, a blocked loop, no end. */
async function finding(act: () => unknown, watch: ProcessWatch, maxBusyMs = 1_000): Promise<string | undefined> {
  // Of this thread alone: other programs on the machine do not count.
  const before = process.threadCpuUsage();
  try {
    const acted = act();
    if (acted instanceof Promise) await withinTime(acted);
    const { user, system } = process.threadCpuUsage(before);
    const ms = (user + system) / 1_000;
    must(ms <= maxBusyMs, `the event loop is busy for more than ${maxBusyMs} ms`);
  } catch (error) {
    return describe(error);
  }
  // Only a turn of the event loop brings what nobody caught, and lets the process be seen to live.
  await immediate();
  return watch.take();
}

async function withinTime(acted: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  const late = sleep(maxAnswerMs, undefined, { signal: over.signal, ref: false }).then(() => {
    throw new Finding(`it has no end within ${maxAnswerMs} ms`);
  });
  try {
    await Promise.race([acted, late]);
  } finally {
    late.catch(() => {});
    over.abort();
  }
}

function describe(error: unknown): string {
  if (error instanceof Finding) return error.message;
  const { name = 'something', message = String(error), stack = '' } = (error ?? {}) as Partial<Error>;
  const [place = ''] = /(?:daemon|client|schemas|test)\/[^\s)]+/.exec(stack) ?? [];
  return `${name}: ${message.slice(0, 200)} (${place})`;
}

/** Catches what nobody else catches, for as long as it lives. */
class ProcessWatch {
  readonly #caught: string[] = [];
  readonly #exit = process.exit;
  readonly #onUncaught = (error: unknown) => void this.#caught.push(`nobody caught ${describe(error)}`);

  constructor() {
    process.on('uncaughtException', this.#onUncaught).on('unhandledRejection', this.#onUncaught);
    process.exit = () => {
      throw new Finding('process.exit is called');
    };
  }

  take(): string | undefined {
    return this.#caught.splice(0)[0];
  }

  [Symbol.dispose](): void {
    process.off('uncaughtException', this.#onUncaught).off('unhandledRejection', this.#onUncaught);
    process.exit = this.#exit;
  }
}
