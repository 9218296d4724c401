import { hash } from 'node:crypto';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { isEqual, type JsonObject } from '../../schemas/json.ts';
import { leavesOf } from '../../schemas/patch.ts';
import { type Path, valueAt } from '../../schemas/paths.ts';
import { DaemonError } from '../model/errors.ts';
import type { Layer, LayerPart, SourceKind } from '../model/layer.ts';
import type { Account } from '../ops/accounts.ts';
import { type Clock, sleep } from '../ops/clock.ts';
import type { FileModeCheck } from '../ops/environment.ts';
import type { Limits } from '../ops/limits.ts';
import type { Log } from '../ops/log.ts';
import type { FileOptions } from '../ops/options.ts';
import { FileCalls } from './file-calls.ts';
import {
  type FileRecord,
  inPhase,
  isDanglingMember,
  isNews,
  isUnreadable,
  mayPass,
  newProblem,
  nextRetry,
  onlyComments,
  unforeseen,
} from './file-record.ts';
import { formatOf, listMembers, type Member, memberNamed } from './file-set.ts';
import { watchFiles } from './file-watch.ts';
import { lineOfPath } from './line-of-path.ts';
import type { EnvNaming } from './parse-env.ts';
import { parseBytes } from './parser.ts';
import { currentVersion, type ReadResult, readFile } from './read-file.ts';
import type { LoadRequest, OnHint, Source, SourceCounts, WatchHealth } from './source.ts';

export interface FileSourceParts {
  readonly id: string;
  readonly kind: SourceKind;
  readonly roots: readonly FileOptions[];
  /** Parts that no file gives; they come above the files. */
  readonly fixed?: readonly LayerPart[];
  readonly naming: EnvNaming;
  readonly limits: Limits;
  readonly modeCheck: FileModeCheck;
  /** Who is to read the files, when that is not this process. */
  readonly reader?: Account;
  readonly rescanMs: number;
  /** Pause before a file that looks half-written is looked at again. */
  readonly lookAgainMs: number;
  readonly clock: Clock;
  /** Shared by all sources of files, because the threads are. */
  readonly calls?: FileCalls;
  readonly log: Log;
  /** The source is watched in another way than before. */
  readonly onWatchHealth: () => void;
  /** Told of everything that was read, so that it can be kept out of the log. */
  readonly onParsed: (part: string, settings: JsonObject) => void;
}

/** Changes this fresh may be followed by another one that leaves the same time stamp. */
const settledMs = 50;

/** Files and folders of them. Only what was hinted is read, and only what changed is parsed. */
export class FileSource implements Source {
  readonly id: string;
  readonly kind: SourceKind;
  readonly describes: readonly string[];
  watchHealth: WatchHealth = { mode: 'off' };
  heardAt: number | undefined;
  readonly #parts: FileSourceParts;
  readonly #calls: FileCalls;
  readonly #records = new Map<string, FileRecord>();
  readonly #warned = new Set<string>();
  #dirty = new Set<string>();
  #isAllDirty = true;
  #touched = new Set<string>();
  #acceptsGone = false;
  #hint: (reason: string, path?: string) => void = () => {};
  #watchErrors = 0;

  constructor(parts: FileSourceParts) {
    this.id = parts.id;
    this.kind = parts.kind;
    this.describes = [...parts.roots.map(({ name }) => name), ...(parts.fixed ?? []).map(({ name }) => name)];
    this.#parts = parts;
    this.#calls = parts.calls ?? new FileCalls(parts.clock);
  }

  get problem(): DaemonError | undefined {
    return this.#records.values().find(({ problem }) => problem)?.problem;
  }

  get counts(): SourceCounts {
    return { watch: { errors: this.#watchErrors } };
  }

  async load(request: LoadRequest, signal: AbortSignal): Promise<Layer> {
    const { clock, lookAgainMs } = this.#parts;
    const dirty = this.#takeDirty(request.fresh);
    const until = clock.monotonic() + request.graceMs;
    const before = new Map([...this.#records].map(([path, record]) => [path, { ...record }]));
    this.#acceptsGone = request.acceptGone;
    let examined = await this.#examine(dirty, request.fresh);
    const mayBeHalfDone = (record: FileRecord) => mayPass(record.problem) && isNews(record, before);
    while (examined.some(mayBeHalfDone) && clock.monotonic() < until && !signal.aborted) {
      await sleep(clock, lookAgainMs, signal);
      examined = await this.#examine(dirty, false);
    }
    const gone = examined.filter((record) => this.#mayDrop(record));
    const failure = newProblem(
      examined.filter((record) => !gone.includes(record)),
      before,
      request.fresh,
    );
    if (!failure) for (const { member } of gone) this.#records.delete(member.path);
    const changed = examined.filter(({ member, settings }) => before.get(member.path)?.settings !== settings);
    for (const { member } of [...changed, ...gone]) this.#touched.add(member.name);
    const touched = this.#touched;
    // What a rejected burst has touched is still to be served, by the next one.
    if (!failure) this.#touched = new Set();
    this.#heard();
    return { sourceId: this.id, parts: this.#layerParts(), touched: new Set(touched), ...(failure && { failure }) };
  }

  async watch(onHint: OnHint): Promise<AsyncDisposable> {
    const { clock, roots, rescanMs } = this.#parts;
    // An environment without files cannot change while the process lives.
    if (roots.length === 0) return { [Symbol.asyncDispose]: async () => {} };
    this.#hint = (reason, path) => {
      if (path === undefined) this.#isAllDirty = true;
      else this.#dirty.add(path);
      onHint({ sourceId: this.id, reason });
    };
    return watchFiles({
      roots,
      rescanMs,
      clock,
      calls: this.#calls,
      changedSince: () => this.#changedSince(),
      onHint: this.#hint,
      // What is already known to be dirty waits for its reload; hinting again would only put that off.
      onFinding: (reason, path) => (path !== undefined && this.#isDirty(path) ? undefined : this.#hint(reason, path)),
      onHealth: (health) => this.#setHealth(health),
    });
  }

  restore(parts: readonly LayerPart[]): void {
    for (const { name, settings } of parts) {
      const member = memberNamed(this.#parts.roots, name);
      if (!member) continue;
      this.#records.set(member.path, { member, version: '', settings });
      this.#parts.onParsed(member.path, settings);
    }
  }

  async close(): Promise<void> {}

  #isDirty(path: string): boolean {
    return this.#isAllDirty || this.#dirty.has(path);
  }

  #takeDirty(fresh: boolean): ReadonlySet<string> | 'all' {
    const dirty = fresh || this.#isAllDirty ? 'all' : this.#dirty;
    this.#dirty = new Set();
    this.#isAllDirty = false;
    return dirty;
  }

  /** Looks at the dirty files, reading those that are not as they were last read, and returns their records. */
  async #examine(dirty: ReadonlySet<string> | 'all', fresh: boolean): Promise<FileRecord[]> {
    const records = (await this.#chosen(dirty)).map((member) => this.#recordOf(member));
    // Thousands of files at once would exhaust the file descriptors.
    for (let i = 0; i < records.length; i += 32) {
      await Promise.all(records.slice(i, i + 32).map((record) => this.#refresh(record, fresh)));
    }
    return records;
  }

  /** The dirty files. Folders are listed only when one of them is not known yet. */
  async #chosen(dirty: ReadonlySet<string> | 'all'): Promise<readonly Member[]> {
    if (dirty !== 'all') {
      const known = [...dirty].map((path) => this.#records.get(path)?.member);
      if (known.every((member) => member !== undefined)) return known;
    }
    const members = (await Promise.all(this.#parts.roots.map((root) => this.#membersOf(root)))).flat();
    return dirty === 'all' ? members : members.filter(({ path }) => dirty.has(path));
  }

  /** The files that are there, and those that were. */
  async #membersOf(root: FileOptions): Promise<readonly Member[]> {
    const list = this.#calls.run(root.path, root.path, () => listMembers(root));
    const listed = await list.catch((): 'missing' => 'missing');
    const present: readonly Member[] = listed === 'missing' ? [{ path: root.path, name: root.name, root }] : listed;
    // Where the folder itself was missing, its own path stood for it.
    const paths = new Set(present.map(({ path }) => path));
    if (!paths.has(root.path)) this.#records.delete(root.path);
    const gone = [...this.#records.values()].map(({ member }) => member);
    const known = gone.filter(({ root: other, path }) => other === root && !paths.has(path));
    for (const { path, isMisnamed } of known) if (isMisnamed) this.#records.delete(path);
    return [...present, ...known.filter(({ isMisnamed }) => !isMisnamed)];
  }

  #recordOf(member: Member): FileRecord {
    const known = this.#records.get(member.path);
    if (known) return known;
    const record = { member, version: '' };
    this.#records.set(member.path, record);
    return record;
  }

  async #refresh(record: FileRecord, fresh: boolean): Promise<void> {
    const version = await this.#versionOf(record.member);
    if (version === record.version && !fresh && !isUnreadable(record.problem) && !this.#isRetryDue(record)) return;
    record.version = version;
    try {
      await this.#read(record, fresh);
      delete record.problem;
      delete record.retry;
    } catch (error) {
      // A failed reading must not hide behind an equal hash when the old content comes back.
      delete record.hash;
      const problem = inPhase(error instanceof DaemonError ? error : unforeseen(error, record.member.name), record);
      record.problem = problem.ofSource(this.id);
      record.retry = nextRetry(record, this.#parts.clock.monotonic());
      if (problem.code === 'source_missing' && this.#mayBeMissing(record)) delete record.problem;
    }
  }

  #isRetryDue({ retry }: FileRecord): boolean {
    return retry !== undefined && this.#parts.clock.monotonic() >= retry.at;
  }

  #versionOf({ path, root, isMisnamed }: Member): Promise<string> {
    if (isMisnamed) return Promise.resolve('misnamed');
    return this.#calls.run(root.path, path, () => currentVersion(path)).catch(() => 'ETIMEDOUT');
  }

  async #read(record: FileRecord, fresh: boolean): Promise<void> {
    const { member } = record;
    if (member.isMisnamed) throw misnamed(member.name);
    const { limits, modeCheck, naming, onParsed, reader } = this.#parts;
    const rules = {
      name: member.name,
      maxBytes: limits.fileSize,
      modeCheck,
      ...(reader && { reader }),
      ...(member.path !== member.root.path && { root: member.root.path }),
    };
    const file = await this.#calls.run(member.root.path, member.path, () => readFile(member.path, rules));
    this.#noticed(member.path, file);
    record.version = file.version;
    const contentHash = hash('sha256', file.bytes);
    if (contentHash === record.hash && !fresh) return;
    const at = member.key === undefined ? member.root.at : [...member.root.at, member.key];
    const rulesOfContent = { subject: member.name, depth: limits.depth, keys: limits.keys, values: limits.values };
    const settings = await parseBytes(file.bytes, {
      format: this.#formatOf(member),
      at,
      naming,
      rules: rulesOfContent,
    });
    if (settings === 'nothing' && record.settings && !this.#acceptsGone) throw onlyComments(member.name);
    const read = settings === 'nothing' ? Object.freeze({}) : settings;
    // The same content stays the same object, so that nothing downstream takes it for new.
    if (!record.settings || !isEqual(record.settings, read)) record.settings = read;
    record.hash = contentHash;
    onParsed(member.path, record.settings);
  }

  async lineOf(part: string, path: Path): Promise<number | undefined> {
    const { member } = this.#records.values().find((record) => record.member.name === part) ?? {};
    if (!member) return undefined;
    const { limits } = this.#parts;
    const { at, format = formatOf(member.path) } = member.root;
    const rules = { maxBytes: limits.fileSize, modeCheck: 'off' } as const;
    const reading = this.#calls.run(member.root.path, member.path, () => readFile(member.path, rules));
    const read = await reading.catch(() => undefined);
    return read && format ? lineOfPath(read.bytes.toString(), format, path.slice(at.length)) : undefined;
  }

  #formatOf({ path, root }: Member) {
    const format = root.format ?? formatOf(path);
    if (format) return format;
    throw new DaemonError('options_unusable', 'its name does not tell its format', {
      subject: path,
      mend: 'give it a format: yaml, json, env or text',
    });
  }

  #noticed(path: string, { warning, quietForMs }: ReadResult): void {
    if (warning && !this.#warned.has(path))
      this.#parts.log('warn', 'source_file_exposed', warning, { sourceId: this.id });
    if (warning) this.#warned.add(path);
    if (quietForMs < settledMs) this.#parts.clock.after(settledMs + 10, () => void this.#lookOnceMore(path));
  }

  /** Two writes within one tick of the file system's clock leave one time stamp; only the content tells them apart. */
  async #lookOnceMore(path: string): Promise<void> {
    const record = this.#records.get(path);
    if (!record?.hash) return;
    const rules = { maxBytes: this.#parts.limits.fileSize, modeCheck: 'off' } as const;
    const reading = this.#calls.run(record.member.root.path, path, () => readFile(path, rules));
    const read = await reading.catch(() => undefined);
    if (!read || read.version !== record.version || hash('sha256', read.bytes) === record.hash) return;
    record.version = '';
    this.#hint('content', path);
  }

  #mayBeMissing({ member, settings }: FileRecord): boolean {
    return member.root.optional && settings === undefined;
  }

  /** A file that is gone may go when the operator said so, or when nothing is lost with it. */
  #mayDrop(record: FileRecord): boolean {
    const { member, settings, problem } = record;
    if (problem?.code !== 'source_missing' || isDanglingMember(record)) return false;
    const isOfFolder = member.path !== member.root.path;
    if (this.#acceptsGone) return settings !== undefined && (isOfFolder || member.root.optional);
    if (!isOfFolder) return false;
    const others = this.#records.values().filter((record) => record.member.path !== member.path && !record.problem);
    const left = [...others].map((record) => record.settings);
    return leavesOf(settings ?? {}).every(
      (path) => path.length === 0 || left.some((tree) => valueAt(tree, path) !== undefined),
    );
  }

  #layerParts(): readonly LayerPart[] {
    const order = this.#parts.roots;
    const records = [...this.#records.values()].filter(({ settings }) => settings !== undefined);
    records.sort(
      (a, b) => order.indexOf(a.member.root) - order.indexOf(b.member.root) || (a.member.path < b.member.path ? -1 : 1),
    );
    const parts = records.map(({ member, settings }) => ({
      sourceId: this.id,
      kind: this.kind,
      name: member.name,
      settings: settings!,
      ...(member.root.isPlain && { isPlain: true }),
    }));
    return [...parts, ...(this.#parts.fixed ?? [])];
  }

  /** The paths that are not as they were last read. */
  async #changedSince(): Promise<readonly string[]> {
    const before = [...this.#records.keys()];
    const members = (await Promise.all(this.#parts.roots.map((root) => this.#membersOf(root)))).flat();
    const changed = await Promise.all(
      members.map(async (member) => ((await this.#isChanged(member)) ? member.path : undefined)),
    );
    this.#heard();
    const forgotten = before.filter((path) => !this.#records.has(path));
    return [...changed.filter((path) => path !== undefined), ...forgotten];
  }

  #heard(): void {
    if (!this.problem) this.heardAt = this.#parts.clock.wall();
  }

  async #isChanged(member: Member): Promise<boolean> {
    const record = this.#records.get(member.path);
    if (record === undefined || (await this.#versionOf(member)) !== record.version) return true;
    if (this.#isRetryDue(record)) return true;
    // Being allowed to read again need not show in the file's own times.
    return isUnreadable(record.problem) && (await this.#isAllowed(member));
  }

  async #isAllowed({ root, path }: Member): Promise<boolean> {
    const asking = this.#calls.run(root.path, path, () => access(path, constants.R_OK));
    return asking.then(
      () => true,
      () => false,
    );
  }

  #setHealth(health: WatchHealth): void {
    const { log } = this.#parts;
    const facts = { sourceId: this.id, problem: health.problem };
    const was = this.watchHealth.mode;
    this.watchHealth = health;
    if (health.problem !== undefined) this.#watchErrors++;
    if (health.mode !== was) this.#parts.onWatchHealth();
    if (health.mode === 'polling' && was !== 'polling')
      log('warn', 'watch_degraded', `cannot watch ${this.id} (${health.problem}): looking each second instead`, facts);
    if (health.mode === 'watching' && was === 'polling')
      log('info', 'watch_recovered', `watching ${this.id} again`, facts);
  }
}

function misnamed(subject: string): DaemonError {
  return new DaemonError('source_encoding', 'has a name that is not valid UTF-8', { subject, mend: 'rename it' });
}
