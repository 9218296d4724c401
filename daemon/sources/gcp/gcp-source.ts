import type { JsonObject } from '../../../schemas/json.ts';
import { type DaemonError, joinErrors } from '../../model/errors.ts';
import type { Layer, LayerPart } from '../../model/layer.ts';
import { type Clock, sleep } from '../../ops/clock.ts';
import type { GcpOptions } from '../../ops/gcp-options.ts';
import type { Limits } from '../../ops/limits.ts';
import type { Log } from '../../ops/log.ts';
import type { LoadRequest, OnHint, Source, SourceCounts, WatchHealth } from '../source.ts';
import type { MeteredManager } from './metered-manager.ts';
import type { MountedSecret } from './mounted-secret.ts';
import { type MessageOutcome, Notifications } from './notifications.ts';
import type { Pursuit } from './pursuit.ts';
import { RotateHook } from './rotate-hook.ts';
import type { SecretEvent } from './secret-event.ts';
import type { SecretManager, SecretRef } from './secret-manager.ts';
import { SecretSet } from './secret-set.ts';
import { SharedManager } from './shared-manager.ts';
import { SilenceAlarm } from './silence-alarm.ts';

export interface GcpSourceParts {
  readonly options: GcpOptions;
  /** Of all sources with these options; by default of this one alone. */
  readonly shared?: SharedManager;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: () => number;
  /** What tells this daemon from every other one, for the name of its subscription. */
  readonly instance: () => string;
  readonly onWatchHealth: () => void;
  /** Told of everything that was read, so that it can be kept out of the log. */
  readonly onParsed: (part: string, settings: JsonObject) => void;
}

/** After a failed burst, what was read well in it follows alone. */
const restMs = 1_000;
/** What has failed for good is looked at again this often. */
const slowRetryMs = 60_000;
/** Credentials may appear at any moment, and looking for them costs a file. */
const credentialsRetryMs = 5_000;
/** A resync that takes longer has not reached Google. */
const resyncWithinMs = 30_000;
/** So many notifications in one burst are a flood. */
const floodOf = 10;
const lumpGapMs = 60;
/** What may make a filter fit a secret that is not served yet. */
const mayMakeFit = /^SECRET_(CREATE|UPDATE|VERSION_ADD)$/;

/**
 * Secrets of Google Secret Manager. Notifications say where to look; what is served is read from Secret Manager. What
 * takes long goes on in the background and hints when it is there, so that no reload waits for Google longer than it
 * has patience.
 */
export class GcpSource implements Source {
  readonly id = 'gcp';
  readonly kind = 'gcp';
  readonly #parts: GcpSourceParts & { readonly random: () => number; readonly shared: SharedManager };
  readonly #secrets: SecretSet;
  readonly #notifications: Notifications | undefined;
  readonly #silence: SilenceAlarm | undefined;
  readonly #rotateHook: RotateHook | undefined;
  readonly #stopped = new AbortController();
  #manager: Promise<MeteredManager> | undefined;
  #metered: MeteredManager | undefined;
  #touched = new Set<string>();
  #loading = 0;
  #heardInBurst = 0;
  #isWatched = false;
  heardAt: number | undefined;
  #hint: (reason: string) => void = () => {};

  constructor(given: GcpSourceParts) {
    const parts = { random: Math.random, shared: new SharedManager(given.options, given.clock), ...given };
    const { options, clock, log, onWatchHealth } = parts;
    const { project, notifications, onRotate } = options;
    this.#parts = parts;
    const onChange = (part: string, settings: JsonObject) => {
      parts.onParsed(part, settings);
      this.#touched.add(part);
    };
    this.#secrets = new SecretSet({ ...parts, manager: () => this.#open(), onChange });
    if (onRotate) this.#rotateHook = new RotateHook({ ...onRotate, project, clock, log, signal: this.#stopped.signal });
    if (!notifications) return;
    this.#silence = new SilenceAlarm({ clock, topic: notifications.topic, onChange: () => this.#onSilence() });
    this.#notifications = new Notifications({
      ...parts,
      notifications,
      onEvent: (event) => this.#hear(event),
      onBack: () => void this.#resync('back'),
      onHealth: onWatchHealth,
    });
  }

  get describes(): readonly string[] {
    const { project, discover, notifications } = this.#parts.options;
    const names = this.#secrets.all.map(({ name }) => name);
    return [
      ...(names.length > 12 ? [...names.slice(0, 10), `and ${names.length - 10} more`] : names),
      ...(discover ? [`secrets of ${project} with ${discover.filter}`] : []),
      ...(notifications ? [notifications.topic] : []),
    ];
  }

  get problem(): DaemonError | undefined {
    return this.#secrets.pursuits.find(({ problem }) => problem)?.problem;
  }

  get watchHealth(): WatchHealth {
    if (!this.#isWatched) return { mode: 'off' };
    const down = this.#notifications?.problem?.message;
    const problem = down ?? this.#silence?.problem;
    return { mode: this.#notifications && !down ? 'watching' : 'polling', ...(problem && { problem }) };
  }

  get counts(): SourceCounts {
    return {
      accesses: Object.fromEntries(this.#metered?.accesses ?? []),
      messages: Object.fromEntries(this.#notifications?.messages ?? []),
    };
  }

  restore(parts: readonly LayerPart[]): void {
    this.#secrets.restore(parts);
    for (const { name, settings } of parts) this.#parts.onParsed(name, settings);
  }

  async load({ fresh, acceptGone, acceptMissing, patienceMs }: LoadRequest, signal: AbortSignal): Promise<Layer> {
    const patience = new AbortController();
    // Without a watch nobody would hear what comes later.
    const giveUp = AbortSignal.any([signal, this.#stopped.signal, ...(this.#isWatched ? [] : [patience.signal])]);
    const over = sleep(this.#parts.clock, patienceMs, AbortSignal.any([signal, patience.signal]));
    const { finding } = this.#secrets;
    this.#loading++;
    this.#heardInBurst = 0;
    try {
      if (fresh) finding?.ask('fresh');
      await this.#waitFor(finding ? [finding] : [], fresh, giveUp, over);
      if (acceptGone) this.#secrets.dropLost();
      if (fresh) for (const mounted of this.#secrets.all) mounted.ask('fresh');
      await this.#waitFor(this.#secrets.pursuits, fresh, giveUp, over);
      if (acceptMissing) for (const part of this.#secrets.letGo()) this.#touched.add(part);
      return this.#layer(fresh);
    } finally {
      this.#loading--;
      patience.abort();
      // What was announced while an earlier look was still under way.
      if (this.#secrets.pursuits.some(({ isDue, isRunning }) => isDue && !isRunning)) this.#hint('more');
    }
  }

  async watch(onHint: OnHint): Promise<AsyncDisposable> {
    this.#isWatched = true;
    this.#hint = (reason) => onHint({ sourceId: this.id, reason });
    await this.#notifications?.start();
    this.#every(this.#parts.options.resyncMs, () => void this.#resync('due'));
    this.#every(slowRetryMs, () => this.#retryFailed(() => true));
    this.#every(credentialsRetryMs, () => this.#retryFailed(({ code }) => code === 'google_credentials'));
    return {
      [Symbol.asyncDispose]: async () => {
        this.#isWatched = false;
        this.#stopped.abort();
        await this.#notifications?.stop();
      },
    };
  }

  async close(): Promise<void> {
    this.#stopped.abort();
    if (!this.#manager) return;
    await this.#manager.catch(() => {});
    await this.#parts.shared.release();
  }

  /** The secrets that are served under a name, which is an id or a full name. */
  served(name: string): readonly MountedSecret[] {
    return this.#secrets.served(name);
  }

  /** Secret Manager itself, for adding and disabling versions. */
  manager(): Promise<SecretManager> {
    return this.#open();
  }

  /** We have added or disabled a version ourselves; the next load reads what is to be served now. */
  note(what: 'ADD' | 'DISABLE', secret: SecretRef, version: number): void {
    this.#hear({ ...secret, type: `SECRET_VERSION_${what}`, version, messageId: '' });
  }

  #open(): Promise<MeteredManager> {
    this.#manager ??= this.#parts.shared.open().then((metered) => {
      this.#metered = metered;
      return metered;
    });
    return this.#manager;
  }

  #hear(event: SecretEvent): MessageOutcome {
    const concerned = this.#secrets.concernedBy(event);
    if (concerned === 'foreign') return 'foreign';
    for (const mounted of concerned) this.#silence?.heard(mounted);
    const isServed = concerned.length > 0;
    if (event.type === 'SECRET_ROTATE') {
      if (isServed) this.#rotateHook?.due(event);
      return isServed ? 'news' : 'unknown';
    }
    const mayBeFound = this.#secrets.finding !== undefined && !isServed && mayMakeFit.test(event.type);
    if (mayBeFound) this.#secrets.finding!.ask('chosen');
    const isNews = concerned.map((mounted) => mounted.hear(event)).includes(true) || mayBeFound;
    if (isNews) this.#hintOf(event);
    return isNews ? 'news' : isServed ? 'known' : 'unknown';
  }

  /** Pub/Sub delivers a flood in lumps, some tens of milliseconds apart: after several, one more is waited for. */
  #hintOf({ type }: SecretEvent): void {
    this.#hint(type);
    if (++this.#heardInBurst < floodOf) return;
    this.#heardInBurst = 0;
    this.#parts.clock.after(lumpGapMs, () => this.#hasNews() && this.#hint('flood'));
  }

  /** Works on what is due, for as long as there is patience; what is known to be late goes on in the background. */
  async #waitFor(
    pursuits: readonly Pursuit[],
    fresh: boolean,
    giveUp: AbortSignal,
    over: Promise<void>,
  ): Promise<void> {
    const due = pursuits.filter(({ isDue }) => isDue);
    const awaited = due.filter(({ isRunning, problem }) => fresh || !isRunning || !problem);
    const running = new Set(awaited.filter(({ isRunning }) => isRunning));
    for (const pursuit of due) void this.#run(pursuit, giveUp);
    const finished = async (pursuit: Pursuit, wasRunning: boolean) => {
      await pursuit.run(giveUp);
      // What was under way may have looked less closely than is asked now.
      if (wasRunning && pursuit.isDue && !giveUp.aborted) await pursuit.run(giveUp);
    };
    await Promise.race([Promise.all(awaited.map((pursuit) => finished(pursuit, running.has(pursuit)))), over]);
    for (const pursuit of awaited) if (pursuit.isRunning) pursuit.overdue(this.#secrets.subjectOf(pursuit));
  }

  /** Runs a pursuit; what it brings when no load waits for it is hinted. */
  async #run(pursuit: Pursuit, signal: AbortSignal): Promise<void> {
    const isJoining = pursuit.isRunning;
    await pursuit.run(signal);
    if (!isJoining && this.#loading === 0 && !signal.aborted && this.#hasNews()) this.#hint('read');
  }

  #layer(fresh: boolean): Layer {
    const failure = this.#failure(fresh);
    this.#heard();
    const touched = new Set(this.#touched);
    if (failure) this.#parts.clock.after(restMs, () => this.#hasNews() && this.#hint('rest'));
    // What a rejected burst has touched is still to be served, by the next one.
    else this.#touched = new Set();
    return { sourceId: this.id, parts: this.#layerParts(), touched, ...(failure && { failure }) };
  }

  /** A problem that was told before blocks nothing again; one that an operator's reload meets is told again. */
  #failure(fresh: boolean): DaemonError | undefined {
    const { pursuits } = this.#secrets;
    const bad = pursuits.filter(({ problem, isNews }) => problem && (fresh || isNews));
    for (const pursuit of pursuits) pursuit.tell();
    return joinErrors(bad.map(({ problem }) => problem!.ofSource(this.id)));
  }

  /** There is something to be committed or told, or to be read. */
  #hasNews(): boolean {
    return (
      this.#touched.size > 0 ||
      this.#secrets.pursuits.some(({ isNews, isDue, isRunning }) => isNews || (isDue && !isRunning))
    );
  }

  #layerParts(): LayerPart[] {
    return this.#secrets.all.flatMap(({ settings, version, partName }) => {
      const part = { sourceId: this.id, kind: this.kind, name: partName, version: String(version) } as const;
      return settings ? [{ ...part, settings }] : [];
    });
  }

  /** Looks at everything again, in the background; only what is new is hinted. */
  async #resync(reason: 'due' | 'back'): Promise<void> {
    const before = new Map(this.#secrets.all.map((mounted) => [mounted, mounted.version]));
    if (reason === 'due') this.#notifications?.check();
    this.#secrets.finding?.ask('chosen');
    for (const mounted of this.#secrets.all) mounted.ask('chosen');
    const { pursuits } = this.#secrets;
    const all = Promise.all(pursuits.map((pursuit) => this.#run(pursuit, this.#stopped.signal)));
    await Promise.race([all, sleep(this.#parts.clock, resyncWithinMs, this.#stopped.signal)]);
    for (const pursuit of pursuits) if (pursuit.isRunning) pursuit.overdue(this.#secrets.subjectOf(pursuit));
    this.#heard();
    if (this.#hasNews()) this.#hint('resync');
    if (reason === 'due') this.#silence?.compare(before);
  }

  #heard(): void {
    if (!this.problem) this.heardAt = this.#parts.clock.wall();
  }

  /** What has failed for good may have been mended. */
  #retryFailed(isChosen: (problem: DaemonError) => boolean): void {
    const { all, finding } = this.#secrets;
    const isFailed = ({ problem, isRunning }: Pursuit) => problem !== undefined && isChosen(problem) && !isRunning;
    for (const mounted of all) if (isFailed(mounted.pursuit)) mounted.ask('chosen');
    if (finding && isFailed(finding)) finding.ask('chosen');
    for (const pursuit of this.#secrets.pursuits) if (pursuit.isDue) void this.#run(pursuit, this.#stopped.signal);
  }

  #onSilence(): void {
    const { log, onWatchHealth } = this.#parts;
    const problem = this.#silence?.problem;
    if (problem) log('warn', 'notifications_silent', problem, { sourceId: this.id });
    onWatchHealth();
  }

  /** Jittered, so that the daemons of a fleet do not ask all at the same time. */
  #every(ms: number, act: () => void): void {
    const { clock, random } = this.#parts;
    clock.after(ms * (0.9 + 0.2 * random()), () => {
      if (this.#stopped.signal.aborted) return;
      act();
      this.#every(ms, act);
    });
  }
}
