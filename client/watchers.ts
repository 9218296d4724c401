import type { JsonObject, JsonValue } from '../schemas/json.ts';
import { overlap, type Path, valueAt } from '../schemas/paths.ts';

type Handler = (next: JsonValue | undefined, previous: JsonValue | undefined, settings: never) => unknown;

interface Watcher {
  readonly path: Path;
  readonly text: string;
  readonly handler: Handler;
  /** Added by a handler, which has seen the next settings already. */
  readonly isByHandler: boolean;
}

/** A handler threw; those that had run were called back. */
export class WatchFailure extends Error {
  readonly path: string;

  constructor(path: string, cause: unknown) {
    super('a watch handler failed', { cause });
    this.path = path;
  }
}

/** The watch handlers of one config. */
export class Watchers {
  readonly #watchers = new Set<Watcher>();
  #isCalling = false;
  #isClosed = false;

  add(path: Path, text: string, handler: Handler): () => void {
    const watcher = { path, text, handler, isByHandler: this.#isCalling };
    if (!this.#isClosed) this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  /** Removes every handler. None is called any more, not even to undo. */
  close(): void {
    this.#isClosed = true;
    this.#watchers.clear();
  }

  /** Whether any handler watches one of these paths. */
  concern(touched: readonly Path[]): boolean {
    return this.#watchers.size > 0 && this.#concerned(touched).length > 0;
  }

  /**
   * Runs every handler whose part changed, all at once, to the end. Then runs those that were added meanwhile, because
   * whoever added them saw the previous settings. Does not call a handler that was removed before its turn.
   * Throws `WatchFailure` after undoing the others.
   */
  async run(next: JsonObject, previous: JsonObject, touched: readonly Path[]): Promise<void> {
    const first = this.#concerned(touched);
    const results = await this.#runAll(first, next, previous);
    // Only one more round: handlers that replace themselves would go on for ever.
    const added = this.#concerned(touched).filter((watcher) => !first.includes(watcher) && !watcher.isByHandler);
    if (added.length > 0 && !results.some(isFailed)) results.push(...(await this.#runAll(added, next, previous)));
    const failed = results.find(isFailed);
    if (!failed) return;
    // Whatever these threw while undoing, the first failure is the one to report.
    const succeeded = results.filter((result) => !isFailed(result));
    await Promise.allSettled(succeeded.map(({ watcher }) => this.#call(watcher, previous, next)));
    throw new WatchFailure(failed.watcher.text, (failed.result as PromiseRejectedResult).reason);
  }

  async #runAll(watchers: readonly Watcher[], next: JsonObject, previous: JsonObject): Promise<Ran[]> {
    const results = await Promise.allSettled(watchers.map((watcher) => this.#call(watcher, next, previous)));
    return results.map((result, i) => ({ watcher: watchers[i]!, result }));
  }

  #concerned(touched: readonly Path[]): Watcher[] {
    return [...this.#watchers].filter(({ path }) => touched.some((other) => overlap(path, other)));
  }

  async #call(watcher: Watcher, next: JsonObject, previous: JsonObject): Promise<void> {
    // Another handler may have stopped it just now.
    if (!this.#watchers.has(watcher)) return;
    const { path, handler } = watcher;
    this.#isCalling = true;
    let later: unknown;
    try {
      later = handler(valueAt(next, path), valueAt(previous, path), next as never);
    } finally {
      this.#isCalling = false;
    }
    await later;
  }
}

interface Ran {
  readonly watcher: Watcher;
  readonly result: PromiseSettledResult<void>;
}

function isFailed({ result }: Ran): boolean {
  return result.status === 'rejected';
}
