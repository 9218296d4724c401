import { Digester } from '../../schemas/digest.ts';
import type { JsonObject } from '../../schemas/json.ts';
import { compare, formatPaths } from '../../schemas/patch.ts';
import type { Position } from '../../schemas/wire.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { ViewFilter } from '../model/view-filter.ts';
import { Edition, type EncodedDelivery, type Seen } from './edition.ts';

/** Earlier settings kept for making patches for programs that are behind. They share what did not change. */
const keptEditions = 16;

/**
 * What one group of programs sees. A snapshot that changes nothing in it makes no new edition, so that its programs hear
 * nothing of it. While a rollout bakes there are two: one for the programs that try it first, one for the rest.
 */
export class View {
  readonly name: string;
  /** Its programs may try candidates. */
  readonly mayVerify: boolean;
  readonly #filter: ViewFilter;
  readonly #digester = new Digester();
  #current: Edition | undefined;
  #staged: Edition | undefined;
  /** By revision. */
  readonly #earlier = new Map<number, Edition['seen']>();
  #sources: ReadonlySet<string> = new Set();

  constructor(name: string, filter: ViewFilter, mayVerify = true) {
    this.name = name;
    this.mayVerify = mayVerify;
    this.#filter = filter;
  }

  get filter(): ViewFilter {
    return this.#filter;
  }

  /** What all programs are to run, but for those that try another edition first. */
  get current(): Edition | undefined {
    return this.#current;
  }

  /** What those programs are to run that get a new edition first. */
  get staged(): Edition | undefined {
    return this.#staged;
  }

  /** What a commit changed in this view; `undefined` where that is nothing. */
  madeBy({ epoch, revision }: Pick<Snapshot, 'epoch' | 'revision'>): Seen | undefined {
    const known = [this.#current?.seen, this.#staged?.seen, this.#earlier.get(revision)];
    return known.find((seen) => seen?.revision === revision && seen.epoch === epoch);
  }

  /** Whether the view shows anything that this source gave lately. */
  isFrom(sourceId: string): boolean {
    return this.#filter.isAll || this.#sources.has(sourceId);
  }

  /** Everybody is to run this, but for those that run what is staged, where `snapshots.staged` says what they get. */
  publish(snapshot: Snapshot, next?: Snapshot): void {
    const seen = this.#seen(snapshot);
    this.#sources = sourcesShown(this.#filter, snapshot);
    const [was, staged] = [this.#current, this.#staged];
    if (was && was.position.epoch !== seen.epoch) this.#earlier.clear();
    this.#staged = undefined;
    // What was tried first and is right stays the edition that it is: those that run it need nothing.
    if (staged && isSame(staged.seen, seen) && staged.position.revision === seen.revision) this.#current = staged;
    else if ((staged && !next) || !was || !isSame(was.seen, seen)) this.#current = this.#edition(seen, [was, staged]);
    for (const edition of [was, staged]) if (edition) this.#keep(edition);
    if (next) this.stage(next, staged);
  }

  /** Some are to run this first. False when it changes nothing in this view. */
  stage(snapshot: Snapshot, before = this.#staged): boolean {
    const seen = this.#seen(snapshot);
    if (!this.#current || isSame((this.#staged ?? this.#current).seen, seen)) return false;
    if (this.#staged) this.#keep(this.#staged);
    this.#staged = before && isSame(before.seen, seen) ? before : this.#edition(seen, [this.#current, before]);
    return true;
  }

  #edition(seen: Seen, known: readonly (Edition | undefined)[]): Edition {
    return new Edition(seen, 'snapshot', known.find((edition) => edition && isSame(edition.seen, seen))?.content);
  }

  /** A candidate to be tried and not taken; `undefined` when it changes nothing in this view. */
  candidate(snapshot: Snapshot): Edition | undefined {
    const seen = this.#seen(snapshot);
    return this.#current && isSame(this.#current.seen, seen) ? undefined : new Edition(seen, 'candidate');
  }

  /** Whether a snapshot changes anything in this view. */
  isChangedBy({ epoch, settings }: Pick<Snapshot, 'epoch' | 'settings'>): boolean {
    return !this.#current || !isSame(this.#current.seen, { epoch, settings: this.#filter.apply(settings) });
  }

  /** An edition: as a patch for a program that holds something known, else whole. */
  delivery(edition: Edition, held: Position | undefined): EncodedDelivery {
    const base = held?.epoch === edition.position.epoch ? this.#settingsOf(held) : undefined;
    return base === undefined ? edition.whole() : edition.patch(held!.revision, base);
  }

  /** A revision that changed nothing here has the content of the one before. */
  #settingsOf({ revision, digest }: Position): JsonObject | undefined {
    const known = [this.#current?.seen, this.#staged?.seen, this.#earlier.get(revision)];
    return known.find((seen) => seen?.digest === digest)?.settings;
  }

  #keep({ seen }: Edition): void {
    this.#earlier.delete(seen.revision);
    this.#earlier.set(seen.revision, seen);
    for (const oldest of this.#earlier.keys()) if (this.#earlier.size > keptEditions) this.#earlier.delete(oldest);
  }

  #seen({ parts: _, ...snapshot }: Snapshot): Seen {
    if (this.#filter.isAll) return snapshot;
    const before = this.#current?.seen.settings;
    const settings = this.#filter.apply(snapshot.settings);
    const digest = this.#digester.digest(settings, before);
    const { changed, removed } = before ? compare(before, settings) : { changed: [], removed: [] };
    return { ...snapshot, settings, digest, changed: formatPaths(changed), removed: formatPaths(removed) };
  }
}

function sourcesShown(filter: ViewFilter, { parts }: Snapshot): ReadonlySet<string> {
  if (filter.isAll) return new Set();
  const shown = parts.filter(({ settings }) => Object.keys(filter.apply(settings)).length > 0);
  return new Set(shown.map(({ sourceId }) => sourceId));
}

/** Decided by comparing: a digest is for those who hold nothing else. */
function isSame(a: Pick<Seen, 'epoch' | 'settings'>, b: Pick<Seen, 'epoch' | 'settings'>): boolean {
  if (a.epoch !== b.epoch) return false;
  const { changed, removed } = compare(a.settings, b.settings);
  return changed.length === 0 && removed.length === 0;
}
