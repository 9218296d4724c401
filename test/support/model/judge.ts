import type { Snapshot } from '../../../client/types.ts';
import type { Choices } from './choices.ts';
import {
  type Content,
  contentOf,
  freshIn,
  holds,
  type Part,
  parts,
  type Settings,
  serialsOf,
  show,
  textOf,
} from './content.ts';
import { type LogEntry, times } from './model-daemon.ts';
import { patience } from './patience.ts';
import type { Program } from './program.ts';
import type { Violations } from './violations.ts';

export interface JudgeParts {
  readonly choices: Choices;
  readonly violations: Violations;
  readonly programs: () => readonly Program[];
  /** The contents that are served now, with their position. */
  readonly served: () => { readonly content: Content; readonly epoch: string; readonly revision: number };
  /** The rollout that is under way, as the daemon says. */
  readonly stage: () => {
    readonly revision: number;
    readonly stable: number;
    readonly first: readonly string[];
  } | null;
  /** Every token that was ever written. */
  readonly isKnown: (token: string) => boolean;
  /** The program still refuses this number in its `verify`. */
  readonly stillRefuses: (program: Program, serial: number) => boolean;
}

/** A content that is not to be served to all again before a part of it changes or an operator wants it. */
interface Condemned {
  readonly content: Content;
  /** Rejections that the model only knows of need a moment to be heard. */
  readonly from: number;
  readonly isLogged: boolean;
  readonly why: string;
}

const now = () => performance.now();
/** Real milliseconds in which the daemon hears what a program says. */
const hearingMs = 100;

/**
 * Holds what happens against the rules, in the turn in which it happens: the daemon's log says what was committed, staged
 * and withdrawn; the programs say what they tried and what they run.
 */
export class Judge {
  readonly #parts: JudgeParts;
  readonly #contents = new Map<string, Content>();
  readonly #committed = new Set<number>();
  /** By program and number: when its `verify` refused that before it was committed. */
  readonly #refusals = new Map<string, number>();
  /** By number: when it was first staged. */
  readonly #stagedAt = new Map<number, number>();
  readonly #allowed = new Set<string>();
  readonly #baked = new Set<number>();
  readonly #texts = new Map<string, string>();
  readonly #acceptances = new Map<string, Set<string>>();
  #condemned: Condemned[] = [];
  /** When a part got other content under the same number. */
  readonly #changedAt = new Map<Part, number>();
  /** Something was there to be served before the sources were read. */
  #isRestored = false;
  /** No reload has ended since the start. */
  #isFresh = true;
  isStopping = false;
  /** How many reloads have ended after signs of a change, and how many have begun. */
  changes = 0;
  reloads = 0;
  /** Numbers that programs refused when they were served already: they are not offered again. */
  readonly refusedLate = new Set<number>();

  constructor(parts: JudgeParts) {
    this.#parts = parts;
  }

  /** Contents that were withdrawn and not changed since. */
  quarantined(content: Content): Content | undefined {
    return this.#condemned.find((one) => one.isLogged && holds(content, one.content))?.content;
  }

  /** A part has other content than its number tells: what was withdrawn with it is another combination. */
  changed(part: Part): void {
    this.#changedAt.set(part, now());
    this.#condemned = this.#condemned.filter(({ content }) => content[part] === undefined);
  }

  /** A program's `verify` has refused this number, before it was committed or after. */
  hasRefused(serial: number): boolean {
    return this.refusedLate.has(serial) || [...this.#refusals.keys()].some((key) => key.endsWith(` ${serial}`));
  }

  contentOf(revision: number): Content | undefined {
    return this.#contents.get(`${this.#parts.served().epoch} ${revision}`);
  }

  /** Names of the programs that have accepted a revision of this epoch. */
  acceptedBy(revision: number): ReadonlySet<string> {
    return this.#acceptances.get(`${this.#parts.served().epoch} ${revision}`) ?? new Set();
  }

  /** The daemon is stopped, or was killed. */
  restarts(): void {
    this.isStopping = false;
    this.#isRestored = false;
    this.#isFresh = true;
    // Whether it was heard before the end is not known.
    this.#condemned = this.#condemned.filter(({ isLogged }) => isLogged);
    this.#acceptances.clear();
  }

  onLog({ level, event, message, fields }: LogEntry): void {
    const { expect } = this;
    const isBug = fields.errorType === 'internal' || fields.code === 'internal' || /a bug:/.test(message);
    expect(
      !isBug && !/^(session_failed|stop_failed|observer_failed)$/.test(event),
      'bugs',
      () => `${level} ${event}: ${message}`,
    );
    // Who refused what, and who was connected, is lost with the state.
    if (event === 'state_damaged') this.#refusals.clear();
    if (event === 'snapshot_restored') this.#onRestored(fields.revision, fields.epoch);
    else if (event === 'rollout_staged') this.#onStaged(fields.revision, fields.first);
    else if (event === 'rollout_promoted')
      for (const serial of serialsOf(this.contentOf(fields.revision) ?? {})) this.#baked.add(serial);
    else if (event === 'rollout_joined') this.#onJoined(fields.revision, fields.subscriber);
    else if (event === 'rollout_completed') this.#onBaked(fields.revision);
    else if (event === 'config_reload_started') this.#onReloadStarted(fields.trigger);
    else if (event === 'config_reload_completed') this.#onReload(fields as never);
    else if (event === 'config_reload_failed') this.#onFailed(fields as never, message);
    else if (event === 'subscriber_refused' && fields.errorType !== 'hello_timeout' && fields.view !== 'guest')
      expect(false, 'linked', () => `${fields.subscriber}: ${message}`);
    else if (event === 'snapshot_rolled_back') this.#onRollback(fields as never);
  }

  onVerdict(program: Program, content: Content, isAccepted: boolean): void {
    for (const serial of serialsOf(content)) {
      const key = `${program.name} ${serial}`;
      if (isAccepted) this.#refusals.delete(key);
      else if (!this.#parts.stillRefuses(program, serial)) continue;
      else if (this.#committed.has(serial)) this.refusedLate.add(serial);
      else this.#refusals.set(key, now());
    }
  }

  onHandlerRefusal(program: Program, content: Content): void {
    for (const serial of serialsOf(content)) this.refusedLate.add(serial);
    this.onRejection(program, 'its handler refused it', content);
  }

  /** A program rejects what it runs, or was just given. */
  onRejection(program: Program, why: string, content = program.content): void {
    const { choices, stage: stageNow } = this.#parts;
    const stage = stageNow();
    if (!stage?.first.includes(program.name) || choices.canary?.maxRejected !== 0) return;
    const [staged, stable] = [this.contentOf(stage.revision), this.contentOf(stage.stable)];
    if (!staged || !stable) return;
    const fresh = freshIn(staged, stable);
    const seen = Object.fromEntries(Object.entries(fresh).filter(([part]) => program.sees(part as Part)));
    // It speaks of something else than what is staged.
    if (!holds(content, seen)) return;
    this.#condemned.push({ content: fresh, from: now() + hearingMs, isLogged: false, why: `${program.name}: ${why}` });
  }

  onAccepted(program: Program, snapshot: Snapshot<Settings>, previous: Snapshot<Settings> | undefined): void {
    const { expect } = this;
    const { epoch, revision, settings } = snapshot;
    const where = `${program.name} at revision ${revision} (${show(contentOf(settings))})`;
    const id = `${epoch} ${revision}`;
    if (previous?.epoch === epoch)
      expect(revision > previous.revision, 'backwards', () => `${where}, after ${previous.revision}`);
    expect(this.#contents.has(id), 'committed', () => where);
    if (parts.every((part) => program.sees(part))) this.#contents.set(id, contentOf(settings));
    for (const part of parts) {
      const pair = settings[part];
      if (!program.sees(part)) continue;
      expect(pair !== undefined && pair.token === pair.twin, 'torn', () => `${where}: ${part}`);
      expect(pair !== undefined && this.#parts.isKnown(pair.token), 'right', () => `${where}: ${part}`);
    }
    const key = `${id} ${program.parts.view}`;
    const text = textOf(settings);
    expect((this.#texts.get(key) ?? text) === text, 'same', () => where);
    this.#texts.set(key, text);
    this.#acceptances.set(id, (this.#acceptances.get(id) ?? new Set()).add(program.name));
    this.#judgeRun(program, contentOf(settings), where);
  }

  readonly expect = (...args: Parameters<Violations['expect']>): void => this.#parts.violations.expect(...args);

  #judgeRun(program: Program, content: Content, where: string): void {
    const { canary } = this.#parts.choices;
    for (const serial of serialsOf(content)) {
      const isRefused = this.#refusals.has(`${program.name} ${serial}`) && this.#parts.stillRefuses(program, serial);
      this.expect(!isRefused, 'refused', () => `${where} runs ${serial}, which it has refused itself`);
      if (!canary || this.#isBaked(content, serial)) continue;
      const isFirst = this.#allowed.has(`${program.name} ${serial}`);
      const when = this.isStopping ? ', while the daemon stops' : '';
      this.expect(isFirst, 'unbaked', () => `${where} has ${serial}, which has not baked${when}`);
    }
    const isFirst = serialsOf(content).some((serial) => this.#allowed.has(`${program.name} ${serial}`));
    if (isFirst) return;
    const bad = this.#condemned.find((one) => one.from < now() && holds(content, one.content));
    this.expect(!bad, 'withdrawn', () => `${where} has ${show(bad!.content)}, which was withdrawn (${bad!.why})`);
  }

  #isBaked(content: Content, serial: number): boolean {
    return this.#baked.has(serial) || (this.#parts.choices.isUrgent && content.secret === serial);
  }

  #onRestored(revision: number, epoch: string): void {
    this.#isRestored = true;
    this.#contents.set(`${epoch} ${revision}`, this.#parts.served().content);
  }

  #onStaged(revision: number, first: readonly string[]): void {
    const { content } = this.#record(revision);
    for (const serial of serialsOf(content)) {
      if (!this.#stagedAt.has(serial)) this.#stagedAt.set(serial, now());
      // A daemon that stops makes nobody one of the first.
      if (!this.isStopping) for (const name of first) this.#allowed.add(`${name} ${serial}`);
    }
  }

  #onJoined(revision: number, name: string): void {
    // One that comes while the daemon stops is one of the first after the restart, too.
    for (const serial of serialsOf(this.contentOf(revision) ?? {})) this.#allowed.add(`${name} ${serial}`);
  }

  #onBaked(revision: number): void {
    const content = this.contentOf(revision) ?? {};
    const { bakeMs } = this.#parts.choices.canary!;
    const bad = this.#condemned.find((one) => one.from < now() && holds(content, one.content));
    this.expect(!bad, 'withdrawn', () => `revision ${revision} goes to all with ${show(bad!.content)} (${bad!.why})`);
    // What was rejected a moment ago is heard after the end of the bake, when it changes nothing any more.
    this.#condemned = this.#condemned.filter((one) => one.isLogged || !holds(content, one.content));
    for (const serial of serialsOf(content)) {
      if (this.#baked.has(serial)) continue;
      this.#baked.add(serial);
      const bakedMs = (now() - (this.#stagedAt.get(serial) ?? now())) * times;
      this.expect(
        bakedMs >= bakeMs * 0.9,
        'unbaked',
        () => `revision ${revision} goes to all after ${bakedMs | 0} ms of ${bakeMs}`,
      );
    }
  }

  #onReloadStarted(trigger: string): void {
    this.reloads++;
    if (/^(operator|signal)$/.test(trigger)) this.#condemned = [];
  }

  #onReload({ outcome, trigger, revision }: { outcome: string; trigger: string; revision: number }): void {
    if (trigger === 'file') this.changes++;
    const { content } = this.#record(revision);
    // Nothing could be held against anything.
    const isFirstOfAll = this.#isFresh && !this.#isRestored;
    this.#isFresh = false;
    if (isFirstOfAll) this.#condemned = [];
    const fresh = serialsOf(content).filter((serial) => !this.#committed.has(serial));
    for (const serial of fresh) this.#committed.add(serial);
    if (isFirstOfAll) for (const serial of serialsOf(content)) this.#baked.add(serial);
    if (outcome !== 'committed') return;
    if (!isFirstOfAll) for (const serial of fresh) this.#judgeCommit(revision, serial);
    if (!this.#hasConcerned(content, fresh)) for (const serial of fresh) this.#baked.add(serial);
    if (trigger === 'rollback') return;
    const bad = this.#condemned.find((one) => one.isLogged && holds(content, one.content));
    this.expect(!bad, 'withdrawn', () => `revision ${revision} has ${show(bad!.content)} again (${bad!.why})`);
  }

  /** Nobody is there who could be one of the first: then it goes to all at once. */
  #hasConcerned(content: Content, fresh: readonly number[]): boolean {
    const changed = parts.filter((part) => fresh.includes(content[part]!));
    const isHere = (program: Program) => program.isOpen && !program.isAway && !program.isFrozen;
    return this.#parts.programs().some((program) => isHere(program) && changed.some((part) => program.sees(part)));
  }

  #judgeCommit(revision: number, serial: number): void {
    for (const program of this.#parts.programs()) {
      const at = this.#refusals.get(`${program.name} ${serial}`);
      if (at === undefined || !this.#parts.stillRefuses(program, serial)) continue;
      const hasVote = program.isOpen && !program.isFrozen && !program.isAway && program.disturbedAt < at;
      this.expect(!hasVote, 'refused', () => `revision ${revision} has ${serial}, which ${program.name} has refused`);
    }
  }

  #onFailed({ code, trigger }: { code: string; trigger: string }, message: string): void {
    if (trigger === 'file') this.changes++;
    if (code !== 'subscriber_silent') return;
    const name = /rejected: (\S+) \(pid/.exec(message)?.[1];
    const program = this.#parts.programs().find((one) => one.name === name);
    const isCalm = program && now() - program.disturbedAt > 2_000 && !program.isFrozen && !program.isAway;
    // A verification that waits for the program first takes 1.8 s.
    this.expect(!isCalm || patience.wasLate(2_500) || !/in time/.test(message), 'silent', () => message);
  }

  #onRollback({ revision, by, reason = '' }: { revision: number; by?: string; reason?: string }): void {
    const content = this.contentOf(revision) ?? {};
    for (const serial of serialsOf(content)) this.#baked.add(serial);
    const bad = by === undefined ? /^revision (\d+): /.exec(reason)?.[1] : undefined;
    // Silence is no verdict: it is tried again.
    if (bad === undefined || /it has not answered$/.test(reason)) {
      this.#condemned = this.#condemned.filter((one) => !holds(content, one.content));
      return;
    }
    const fresh = freshIn(this.contentOf(Number(bad)) ?? {}, content);
    // What was withdrawn may be the content before a change that the number does not tell.
    const isOther = (part: string) => now() - (this.#changedAt.get(part as Part) ?? -Infinity) < 2_000;
    if (Object.keys(fresh).some(isOther)) return;
    this.#condemned.push({ content: fresh, from: 0, isLogged: true, why: `revision ${bad} was withdrawn` });
  }

  #record(revision: number): { readonly content: Content } {
    const { content, epoch, revision: served } = this.#parts.served();
    const id = `${epoch} ${revision}`;
    // What is urgent had a revision of its own, and another one is served by now: the programs will say what was in it.
    if (!this.#contents.has(id)) this.#contents.set(id, revision === served ? content : {});
    return { content: this.#contents.get(id)! };
  }
}
