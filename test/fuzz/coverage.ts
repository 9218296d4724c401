import { Session } from 'node:inspector';
import { relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(import.meta.dirname, '../..');

type Span = readonly [start: number, end: number];

/** What V8 says of one function in one take: every block that it knows, and those that did not run. */
interface Taken {
  readonly key: string;
  readonly blocks: readonly Span[];
  readonly missed: readonly Span[];
}

/** One function as the run has seen it so far. */
interface Reached {
  readonly blocks: Map<string, Span>;
  missed: readonly Span[];
}

/** How much of a face's modules has run. A branch is a block of code that V8 counts by itself. */
export interface Figures {
  readonly functions: number;
  readonly branches: number;
  readonly knownBranches: number;
}

/** Counts which functions and branches of some modules run in this thread, by V8's precise coverage. */
export class Coverage {
  readonly #session = new Session();
  readonly #modules: RegExp;
  readonly #functions = new Map<string, Reached>();

  /** `modules` is matched against paths below the repository's root. */
  constructor(modules: RegExp) {
    this.#modules = modules;
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  get figures(): Figures {
    const all = [...this.#functions.values()];
    const known = all.flatMap(({ blocks, missed }) => [...blocks.values()].map((block) => !isWithin(block, missed)));
    return { functions: all.length, branches: known.filter(Boolean).length, knownBranches: known.length };
  }

  /** What ran since the last take. */
  take(): readonly Taken[] {
    let taken: readonly Taken[] = [];
    // In one's own thread the answer is there before `post` returns.
    this.#session.post('Profiler.takePreciseCoverage', (error, { result }) => {
      if (error) throw error;
      taken = result.flatMap(({ url, functions }) => {
        const file = url.startsWith('file:') ? relative(root, fileURLToPath(url)) : '';
        if (!this.#modules.test(file)) return [];
        return functions.flatMap(({ ranges, functionName }) => takenOf(`${file} ${functionName}`, ranges));
      });
    });
    return taken;
  }

  /** Something in it ran for the first time. */
  isNew(taken: readonly Taken[]): boolean {
    return taken.some(({ key, missed }) => {
      const known = this.#functions.get(key);
      return !known || known.missed.some((span) => !isWithin(span, missed));
    });
  }

  add(taken: readonly Taken[]): void {
    for (const { key, blocks, missed } of taken) {
      const known = this.#functions.get(key) ?? { blocks: new Map(), missed };
      for (const block of blocks) known.blocks.set(block.join(), block);
      // What had not run before and did not now; a part of a block that was missed can have run.
      known.missed = known.missed.flatMap((span) => missed.flatMap((other) => overlap(span, other)));
      this.#functions.set(key, known);
    }
  }

  [Symbol.dispose](): void {
    this.#session.disconnect();
  }
}

type Range = { readonly startOffset: number; readonly endOffset: number; readonly count: number };

function takenOf(name: string, ranges: readonly Range[]): Taken[] {
  const [whole] = ranges;
  if (!whole || whole.count === 0) return [];
  const spanOf = ({ startOffset, endOffset }: Range): Span => [startOffset, endOffset];
  return [
    {
      key: `${name} ${whole.startOffset}`,
      blocks: ranges.map(spanOf),
      missed: ranges.filter(({ count }) => count === 0).map(spanOf),
    },
  ];
}

function isWithin([start, end]: Span, spans: readonly Span[]): boolean {
  return spans.some(([from, to]) => from <= start && end <= to);
}

function overlap([start, end]: Span, [from, to]: Span): Span[] {
  return Math.max(start, from) < Math.min(end, to) ? [[Math.max(start, from), Math.min(end, to)]] : [];
}
