import { Digester } from '../../schemas/digest.ts';
import { DaemonError } from '../model/errors.ts';
import type { LayerPart } from '../model/layer.ts';
import { partKey } from '../model/parts.ts';
import type { PartMark, Refusal } from '../model/snapshot.ts';
import type { Clock } from '../ops/clock.ts';

/** Where refusals survive a restart. */
export interface RefusalKeeper {
  refusals: readonly Refusal[];
  /** Tells "the same content" and nothing else of it. */
  mark(digest: string): string;
}

export interface RefusalsParts {
  readonly keeper: RefusalKeeper;
  readonly clock: Clock;
  /** From 0 to 1. */
  readonly random: () => number;
  /** The parts of these sources are to be tried again now. */
  readonly onDue: (sourceIds: ReadonlySet<string>) => void;
}

/** A refusal as operators see it. */
export interface HeldChange {
  readonly kind: Refusal['kind'];
  readonly parts: readonly string[];
  readonly why: string;
  /** ISO 8601; `null` where it is not tried again by itself. */
  readonly nextTry: string | null;
}

interface Entry {
  readonly refusal: Refusal;
  readonly tries: number;
  /** On the monotonic clock; never for what was withdrawn. */
  readonly dueAt: number;
}

/** Refusals that are remembered; the oldest go first. */
const maxRefusals = 64;
const firstRetryMs = 5_000;
const maxRetryMs = 10 * 60_000;

/**
 * The contents that programs refused. While a refusal stands, its parts keep their accepted content, and everything else
 * goes on without them. It names a combination: as soon as one of its parts has other content, it no longer applies.
 *
 * What a verification rejected is due again after about 5 s, then twice as long each time up to 10 minutes, each wait
 * between half and all of that; after a restart it is due at once. What was withdrawn from a rollout is not due again.
 */
export class Refusals {
  readonly #parts: RefusalsParts;
  readonly #digester = new Digester();
  #entries: readonly Entry[];
  #cancel = () => {};

  constructor(parts: RefusalsParts) {
    this.#parts = parts;
    this.#entries = parts.keeper.refusals.map((refusal) => this.#entry(refusal, 0, 0));
  }

  /** Those whose combination is among these parts, for operators. */
  heldIn(parts: readonly LayerPart[]): readonly HeldChange[] {
    const { clock } = this.#parts;
    const offset = clock.wall() - clock.monotonic();
    return this.#within(parts).map(({ refusal: { kind, parts: marked, why }, dueAt }) => ({
      kind,
      parts: marked.map(({ part }) => part),
      why,
      nextTry: Number.isFinite(dueAt) ? new Date(offset + dueAt).toISOString() : null,
    }));
  }

  /** The keys of the parts that must keep their accepted content. */
  heldOf(parts: readonly LayerPart[]): ReadonlySet<string> {
    const standing = this.#standing(parts).flatMap(({ refusal }) => refusal.parts);
    return new Set(standing.map(keyOf));
  }

  /** The programs that refused what is now tried again, as `view/name`. */
  refusersOf(parts: readonly LayerPart[]): readonly string[] {
    return this.#within(parts).flatMap(({ refusal }) => refusal.by);
  }

  /** The keys of the parts that are due to be tried again. */
  dueOf(parts: readonly LayerPart[]): readonly string[] {
    const now = this.#parts.clock.monotonic();
    const due = this.#within(parts).filter(({ dueAt }) => dueAt <= now);
    return due.flatMap(({ refusal }) => refusal.parts.map(keyOf));
  }

  /** Why these parts must not be committed: `candidate_quarantined` or `subscriber_rejected`. */
  refusalOf(parts: readonly LayerPart[]): DaemonError | undefined {
    const [entry] = this.#standing(parts);
    return entry && asError(entry.refusal);
  }

  /** Throws `candidate_quarantined` where it was withdrawn. What was rejected before may have been accepted by now. */
  checkWithdrawn(parts: readonly LayerPart[]): void {
    const entry = this.#within(parts).find(({ refusal }) => refusal.kind === 'withdrawn');
    if (entry) throw asError(entry.refusal);
  }

  /** The parts that are new against `base`, or absent from `parts`, may not be served until the refusal is over. */
  withdraw(parts: readonly LayerPart[], base: readonly LayerPart[], why: string, by: readonly string[]): void {
    const fresh = this.#fresh(parts, base);
    // A refusal of nothing would forbid everything.
    if (fresh.length === 0) return;
    this.#set([this.#entry({ kind: 'withdrawn', parts: fresh, why, by }, 0), ...this.#entries]);
  }

  /** A verification rejected these parts: the next try comes later than the last one did. */
  reject(parts: readonly LayerPart[], base: readonly LayerPart[], why: string, by: readonly string[]): void {
    const known = this.#within(parts).filter(({ refusal }) => refusal.kind === 'rejected');
    const again = known.map(({ refusal, tries }) => this.#entry({ ...refusal, why, by }, tries + 1));
    const others = this.#entries.filter((entry) => !known.includes(entry));
    const fresh = this.#fresh(parts, base);
    if (again.length === 0 && fresh.length > 0) again.push(this.#entry({ kind: 'rejected', parts: fresh, why, by }, 1));
    this.#set([...again, ...others]);
  }

  /** These parts are served now. What else was rejected may be what a program waited for, and is tried again soon. */
  passed(parts: readonly LayerPart[]): void {
    if (this.#entries.length === 0) return;
    const left = this.#entries.filter((entry) => !this.#isWithin(entry, parts));
    const soon = this.#soon(1);
    this.#set(left.map((entry) => ({ ...entry, dueAt: sooner(entry, soon) })));
  }

  /** Forgets what was rejected and is not what the sources have now. */
  keepOnly(newest: readonly LayerPart[]): void {
    const left = this.#entries.filter((entry) => entry.refusal.kind === 'withdrawn' || this.#isWithin(entry, newest));
    if (left.length < this.#entries.length) this.#set(left);
  }

  /** A program said goodbye: its refusals do not need its consent any more. */
  forgetVoter(voter: string): void {
    if (!this.#entries.some(({ refusal }) => refusal.by.includes(voter))) return;
    const without = ({ refusal, ...entry }: Entry): Entry => {
      const by = refusal.by.filter((name) => name !== voter);
      return { ...entry, refusal: { ...refusal, by } };
    };
    this.#set(this.#entries.map(without));
  }

  /** An operator wants everything to be tried again. */
  clear(): void {
    this.#set([]);
  }

  /** The daemon is stopping; what is remembered stays. */
  stop(): void {
    this.#cancel();
  }

  #entry(refusal: Refusal, tries: number, dueAt = this.#soon(tries)): Entry {
    return { refusal, tries, dueAt: refusal.kind === 'withdrawn' ? Number.POSITIVE_INFINITY : dueAt };
  }

  #soon(tries: number): number {
    const { clock, random } = this.#parts;
    const boundMs = Math.min(firstRetryMs * 2 ** (tries - 1), maxRetryMs);
    return clock.monotonic() + boundMs * (0.5 + random() / 2);
  }

  #set(entries: readonly Entry[]): void {
    if (entries.length === 0 && this.#entries.length === 0) return;
    this.#entries = entries.slice(0, maxRefusals);
    this.#parts.keeper.refusals = this.#entries.map(({ refusal }) => refusal);
    this.#schedule();
  }

  #schedule(): void {
    const { clock, onDue } = this.#parts;
    this.#cancel();
    const now = clock.monotonic();
    const next = Math.min(...this.#entries.map(({ dueAt }) => dueAt).filter((dueAt) => dueAt > now));
    if (!Number.isFinite(next)) return;
    this.#cancel = clock.after(Math.ceil(next - now), () => {
      const due = this.#entries.filter(({ dueAt }) => dueAt <= clock.monotonic());
      this.#schedule();
      onDue(new Set(due.flatMap(({ refusal }) => refusal.parts.map(({ sourceId }) => sourceId))));
    });
  }

  /** Those that forbid these parts now. */
  #standing(parts: readonly LayerPart[]): readonly Entry[] {
    const now = this.#parts.clock.monotonic();
    return this.#within(parts).filter(({ dueAt }) => dueAt > now);
  }

  /** Those whose whole combination is among these parts. */
  #within(parts: readonly LayerPart[]): readonly Entry[] {
    return this.#entries.filter((entry) => this.#isWithin(entry, parts));
  }

  #isWithin({ refusal }: Entry, parts: readonly LayerPart[]): boolean {
    const find = ({ sourceId, part }: PartMark) =>
      parts.find((other) => other.name === part && other.sourceId === sourceId);
    return refusal.parts.every((marked) => this.#markOf(find(marked)) === marked.mark);
  }

  #fresh(parts: readonly LayerPart[], base: readonly LayerPart[]): readonly PartMark[] {
    const known = new Map(base.map((part) => [partKey(part), part]));
    const changed = parts.filter((part) => {
      const before = known.get(partKey(part));
      known.delete(partKey(part));
      return before?.settings !== part.settings && this.#markOf(before) !== this.#markOf(part);
    });
    return [
      ...changed.map((part) => ({ sourceId: part.sourceId, part: part.name, mark: this.#markOf(part) })),
      ...[...known.values()].map(({ sourceId, name }) => ({ sourceId, part: name, mark: '' })),
    ];
  }

  #markOf(part: LayerPart | undefined): string {
    return part ? this.#parts.keeper.mark(this.#digester.digest(part.settings)) : '';
  }
}

const keyOf = ({ sourceId, part }: PartMark) => partKey({ sourceId, name: part });

function sooner({ dueAt, refusal }: Entry, soon: number): number {
  return refusal.kind === 'withdrawn' ? dueAt : Math.min(dueAt, soon);
}

function asError({ kind, parts, why }: Refusal): DaemonError {
  const subject = parts.map(({ part }) => part).join(', ');
  if (kind === 'withdrawn')
    return new DaemonError('candidate_quarantined', `was withdrawn before: ${why}`, {
      subject,
      mend: 'change it, or run `hotconf reload` to try it again',
    });
  return new DaemonError('subscriber_rejected', `was rejected and waits for its next try: ${why}`, {
    subject,
    mend: 'it is tried again by itself; `hotconf reload` tries it now',
  });
}
