import { type Path, parsePath } from '../../schemas/paths.ts';

/**
 * Patterns over the paths of settings. A name stands for a key, `*` for any one key (also inside a name: `db-*`), `**`
 * for any number of them, none included.
 */
export class PathPatterns {
  readonly #patterns: readonly (readonly Segment[])[];
  /** Of the root: where in each pattern a walk begins. */
  readonly start: PatternState;

  /** Throws a `RangeError` that quotes the pattern which is none. */
  constructor(texts: readonly string[]) {
    this.#patterns = texts.map(compile);
    this.start = this.#state(this.#patterns.flatMap((_, pattern) => this.#settled(pattern, 0)));
  }

  /** The state after one more key. */
  step({ positions }: PatternState, key: string): PatternState {
    return this.#state(
      positions.flatMap(({ pattern, at }) => {
        const segment = this.#patterns[pattern]![at];
        if (segment === '**') return this.#settled(pattern, at);
        return segment?.(key) ? this.#settled(pattern, at + 1) : [];
      }),
    );
  }

  matches(path: Path): boolean {
    return path.reduce((state, key) => this.step(state, key), this.start).isMatch;
  }

  /** True for a path that matches, or one that lies below such a path. */
  covers(path: Path): boolean {
    let state = this.start;
    if (state.isMatch) return true;
    return path.some((key) => {
      state = this.step(state, key);
      return state.isMatch;
    });
  }

  /** `**` may stand for nothing, so what follows it is reached at once. */
  #settled(pattern: number, at: number): Position[] {
    const here = { pattern, at };
    return this.#patterns[pattern]![at] === '**' ? [here, ...this.#settled(pattern, at + 1)] : [here];
  }

  #state(all: readonly Position[]): PatternState {
    const unique = new Map(all.map((position) => [`${position.pattern}:${position.at}`, position]));
    const positions = [...unique.values()];
    const matched = positions.filter(({ pattern, at }) => at === this.#patterns[pattern]!.length);
    return {
      positions,
      key: [...unique.keys()].sort().join(),
      isMatch: matched.length > 0,
      isWhole: matched.some(({ pattern }) => this.#patterns[pattern]!.at(-1) === '**' || this.#endsInName(pattern)),
    };
  }

  #endsInName(pattern: number): boolean {
    const last = this.#patterns[pattern]!.at(-1);
    return typeof last === 'function' && last.isName;
  }
}

/** Where a walk from the root stands in every pattern. */
export interface PatternState {
  readonly positions: readonly Position[];
  /** The same for states that behave alike. */
  readonly key: string;
  /** The path so far matches a pattern. */
  readonly isMatch: boolean;
  /** ... one that ends in a name or in `**`, and so speaks of everything below it too. */
  readonly isWhole: boolean;
}

interface Position {
  readonly pattern: number;
  readonly at: number;
}

type Segment = '**' | (((key: string) => boolean) & { readonly isName: boolean });

function compile(text: string): readonly Segment[] {
  const path = parsePath(text);
  if (!path || path.length === 0) throw new RangeError(`'${text}' is not a pattern of paths`);
  return path.map((part) => {
    if (part === '**') return part;
    const isName = !part.includes('*');
    const pieces = part.split('*').map((piece) => piece.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'));
    const pattern = new RegExp(`^${pieces.join('.*')}$`, 'su');
    return Object.assign((key: string) => (isName ? key === part : pattern.test(key)), { isName });
  });
}
