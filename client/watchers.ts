import type { JsonObject, JsonValue } from '../schemas/json.ts';
import { overlap, type Path, valueAt } from '../schemas/paths.ts';

type Handler = (next: JsonValue | undefined, previous: JsonValue | undefined, settings: never) => unknown;

interface Watcher {
  readonly path: Path;
  readonly text: string;
  readonly handler: Handler;
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

  add(path: Path, text: string, handler: Handler): () => void {
    const watcher = { path, text, handler };
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  /** Whether any handler watches one of these paths. */
  concern(touched: readonly Path[]): boolean {
    return this.#watchers.size > 0 && this.#concerned(touched).length > 0;
  }

  /** Runs every handler whose part changed, all at once, to the end. Throws `WatchFailure` after undoing the others. */
  async run(next: JsonObject, previous: JsonObject, touched: readonly Path[]): Promise<void> {
    const concerned = this.#concerned(touched);
    const results = await Promise.allSettled(concerned.map((watcher) => call(watcher, next, previous)));
    const failed = results.findIndex(({ status }) => status === 'rejected');
    if (failed === -1) return;
    const succeeded = concerned.filter((_, i) => results[i]!.status === 'fulfilled');
    // Whatever these threw while undoing, the first failure is the one to tell.
    await Promise.allSettled(succeeded.map((watcher) => call(watcher, previous, next)));
    throw new WatchFailure(concerned[failed]!.text, (results[failed] as PromiseRejectedResult).reason);
  }

  #concerned(touched: readonly Path[]): Watcher[] {
    return [...this.#watchers].filter(({ path }) => touched.some((other) => overlap(path, other)));
  }
}

async function call({ path, handler }: Watcher, next: JsonObject, previous: JsonObject): Promise<void> {
  await handler(valueAt(next, path), valueAt(previous, path), next as never);
}
