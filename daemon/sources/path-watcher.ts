import { join } from 'node:path';
import { type FSWatcher, watch } from 'chokidar';
import { systemCode } from '../model/errors.ts';
import { type Clock, sleep } from '../ops/clock.ts';
import type { WatchHealth } from './source.ts';
import { identities, matters, type WatchedFolder } from './watched-folder.ts';

/** What a source looks at now, and which of its files are not as it last read them. */
export interface Survey {
  readonly folders: ReadonlyMap<string, WatchedFolder>;
  readonly changed: readonly string[];
  /** Why a folder that has to be watched cannot be. */
  readonly blocked?: string;
  /** The reason is a file system that does not answer: looking for more there would hang. */
  readonly isPartial?: boolean;
}

export interface PathWatcherParts {
  readonly survey: () => Promise<Survey>;
  /** An event named this real path. */
  readonly onEvent: (reason: string, path: string) => void;
  /** A survey found this file changed, or the watch itself failed or was renewed. */
  readonly onFinding: (reason: string, path?: string) => void;
  readonly onHealth: (health: WatchHealth) => void;
  readonly rescanMs: number;
  readonly clock: Clock;
}

const tickMs = 1_000;
/** Events stop for this long before the watched folders are looked over. */
const afterBurstMs = 100;
/** A tick this late means that the loop was held up and that events may have been lost. */
const blockedMs = 100;
const longestBackoffMs = 60_000;
const closeWithinMs = 1_000;

/**
 * Watches the folders in which a source's files are looked up, never the files: editors and Kubernetes replace them.
 * Events are only hints. What no event can tell is found by comparing: after each burst, and in a slow rescan, the
 * source surveys its files, and the watcher is built anew when a watched folder is another one than it was.
 */
export class PathWatcher implements AsyncDisposable {
  readonly #parts: PathWatcherParts;
  #watcher: FSWatcher | undefined;
  #built = new Map<string, string>();
  #failures = 0;
  #rebuildAt = 0;
  #isEventless = false;
  /** Why events cannot tell of every change, until the options or the permissions are others. */
  #blocked: string | undefined;
  #checking: Promise<void> = Promise.resolve();
  #stopTick = () => {};
  #stopAfterBurst = () => {};
  #lastCheck = 0;
  #closed = false;

  private constructor(parts: PathWatcherParts) {
    this.#parts = parts;
  }

  /** Resolves when the watch is armed. A watch that cannot be set up polls instead, and says so. */
  static async arm(parts: PathWatcherParts): Promise<PathWatcher> {
    const watcher = new PathWatcher(parts);
    const survey = await parts.survey();
    if (survey.isPartial) watcher.#poll(survey);
    else await watcher.#build(survey);
    watcher.#tick(parts.clock.monotonic() + tickMs);
    return watcher;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#stopTick();
    this.#stopAfterBurst();
    await this.#checking;
    await this.#close(this.#watcher);
  }

  /** Chokidar waits for its own looks, and one into a dead mount does not end. */
  async #close(watcher: FSWatcher | undefined): Promise<void> {
    await Promise.race([watcher?.close(), sleep(this.#parts.clock, closeWithinMs)]);
  }

  async #build(survey: Survey): Promise<void> {
    const { folders } = survey;
    const old = this.#watcher;
    this.#built = identities(folders);
    this.#isEventless = folders.values().some((folder) => folder.isEventless);
    this.#blocked = blockedBy(survey);
    let problem: string | undefined;
    const watcher = watch([...folders.keys()], {
      ignoreInitial: true,
      depth: 0,
      followSymlinks: false,
      atomic: false,
      ignored: (path) => !matters(folders, path),
    });
    watcher.on('error', (error) => {
      problem = systemCode(error) ?? 'unknown error';
      this.#failed(problem);
    });
    watcher.on('all', (event, path) => this.#changed(event, path));
    // Undocumented by chokidar as an API, but it alone shows a link that was replaced by another one.
    watcher.on('raw', (event, name, details) => {
      const { watchedPath } = details as { watchedPath?: string };
      const path = watchedPath && name ? join(watchedPath, name) : undefined;
      if (path && matters(folders, path) && !folders.has(path)) this.#changed(event, path);
    });
    this.#watcher = watcher;
    // Not `once` of node:events: it would take an error for the end, and `ready` comes after errors too.
    await new Promise<void>((resolve) => watcher.once('ready', resolve));
    await this.#close(old);
    if (problem === undefined) this.#armed();
  }

  #changed(reason: string, path: string): void {
    this.#parts.onEvent(reason, path);
    this.#stopAfterBurst();
    this.#stopAfterBurst = this.#parts.clock.after(afterBurstMs, () => this.#check('replaced'));
  }

  #failed(problem: string): void {
    this.#failures++;
    this.#rebuildAt = this.#parts.clock.monotonic() + Math.min(tickMs * 2 ** this.#failures, longestBackoffMs);
    this.#parts.onHealth({ mode: 'polling', problem });
    this.#parts.onFinding('watch-failed');
  }

  /** Nothing failed. What is not watched is not told as watched: an empty set of watches polls. */
  #armed(): void {
    this.#failures = 0;
    this.#parts.onHealth(this.#blocked ? { mode: 'polling', problem: this.#blocked } : { mode: 'watching' });
  }

  /** Leaves the watch as it is: a new one would look into the folders above, and hang there. */
  #poll(survey: Survey): void {
    const problem = blockedBy(survey);
    if (problem === this.#blocked || problem === undefined) return;
    this.#blocked = problem;
    this.#parts.onHealth({ mode: 'polling', problem });
  }

  #tick(dueAt: number): void {
    const { clock, rescanMs } = this.#parts;
    this.#stopTick = clock.after(dueAt - clock.monotonic(), () => {
      const now = clock.monotonic();
      const wanted = this.#failures > 0 || this.#isEventless || this.#blocked ? tickMs : rescanMs;
      if (now - this.#lastCheck >= wanted || now - dueAt > blockedMs) this.#check('rescan');
      this.#tick(now + Math.min(tickMs, rescanMs));
    });
  }

  /** One look at a time; a look that is asked for during another follows it. */
  #check(reason: string): void {
    this.#lastCheck = this.#parts.clock.monotonic();
    this.#checking = this.#checking.then(() => this.#compare(reason)).catch(() => this.#failed('survey failed'));
  }

  async #compare(reason: string): Promise<void> {
    if (this.#closed) return;
    const survey = await this.#parts.survey();
    if (this.#closed) return;
    if (survey.isPartial) this.#poll(survey);
    else if (this.#isOutdated(survey)) {
      await this.#build(survey);
      // What happened between the survey and the new watch has given no event.
      this.#parts.onFinding('watch-rebuilt');
    }
    for (const path of survey.changed) this.#parts.onFinding(reason, path);
  }

  #isOutdated(survey: Survey): boolean {
    if (this.#failures > 0) return this.#parts.clock.monotonic() >= this.#rebuildAt;
    if (blockedBy(survey) !== this.#blocked) return true;
    const now = identities(survey.folders);
    return now.size !== this.#built.size || [...now].some(([folder, identity]) => this.#built.get(folder) !== identity);
  }
}

/** Why events cannot tell of every change; `undefined` where they can. */
function blockedBy({ folders, blocked }: Survey): string | undefined {
  return blocked ?? (folders.size === 0 ? 'there is no folder to watch' : undefined);
}
