import { leavesOf } from '../../schemas/patch.ts';
import { formatPath, type Path, parsePath } from '../../schemas/paths.ts';
import type { RotationResult } from '../../schemas/wire.ts';
import { DaemonError } from '../model/errors.ts';
import type { LayerPart } from '../model/layer.ts';
import { winningPart } from '../model/secrecy.ts';
import type { Actor, ReloadOutcome, Snapshot } from '../model/snapshot.ts';
import type { Log } from '../ops/log.ts';
import type { PinKeeper } from '../reload/commit-gate.ts';
import type { SnapshotStore } from '../reload/snapshot-store.ts';
import type { GcpSource } from '../sources/gcp/gcp-source.ts';
import type { MountedSecret } from '../sources/gcp/mounted-secret.ts';
import type { Answers } from './rejecting.ts';
import { replacePart } from './replace-part.ts';

export interface RotationParts {
  /** `undefined` where there is no Secret Manager. */
  readonly source: Pick<GcpSource, 'served' | 'manager' | 'note'> | undefined;
  /** Reads what is new of the source. */
  readonly reload: (actor: Actor) => Promise<ReloadOutcome>;
  /** Resolves when every program has answered, or after a time. */
  readonly answersTo: (revision: number) => Promise<Answers>;
  /** What is served, to all programs or to the first; and whether a revision is pinned. */
  readonly store: Pick<SnapshotStore, 'current'>;
  readonly pins: Readonly<PinKeeper>;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export interface RotationRequest {
  /** The secret's id or full name. */
  readonly secret: string;
  readonly value: Buffer;
  /** A path in the settings where the secret is mounted, or inside of it for a JSON secret of which one part changes. */
  readonly at?: string;
}

/** Where a secret is served. */
export interface Mount {
  readonly at: Path;
  /** It is one text; other contents can be of any shape. */
  readonly isText: boolean;
}

/**
 * Replaces a secret's value everywhere: adds a version, has it committed, and waits until every program has accepted
 * it. Where the schema or a program rejects it the version is disabled again, and all go back to the one before. One
 * rotation at a time.
 */
export class Rotation {
  readonly #parts: RotationParts;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(parts: RotationParts) {
    this.#parts = parts;
  }

  get isSupported(): boolean {
    return this.#parts.source !== undefined;
  }

  /** Every place where the secrets of this name are served; none where there is no such secret. */
  mountsOf(secret: string): readonly Mount[] {
    const { source } = this.#parts;
    return (source?.served(secret) ?? []).map(({ options: { at, format } }) => ({ at, isText: format === 'text' }));
  }

  /** Throws `usage` for a secret that is not served, `not_permitted` for one that is pinned, and what adding fails by. */
  rotate(request: RotationRequest, actor: Actor): Promise<RotationResult> {
    const rotation = this.#tail.then(() => this.#rotate(request, actor));
    this.#tail = rotation.catch(() => {});
    return rotation;
  }

  async #rotate({ secret: name, value, at }: RotationRequest, asked: Actor): Promise<RotationResult> {
    const { source, log, signal, answersTo, reload } = this.#parts;
    const mounted = this.#find(name, at);
    const actor = { ...asked, reason: asked.reason ?? `rotate ${mounted.secret.id}` };
    const bytes = at === undefined ? value : replacePart(mounted, parsePath(at)!, value);
    this.#assertFlows(mounted);
    const manager = await source!.manager();
    const version = await manager.add(mounted.secret, bytes, signal);
    const facts = { secret: mounted.name, version };
    log('info', 'rotation_version_added', `version ${version} of ${mounted.name} is added`, facts);
    source!.note('ADD', mounted.secret, version);
    const outcome = await reload(actor);
    if (outcome.kind === 'rejected') {
      const { code, message, issues, facts } = outcome.error;
      const rejectedBy = facts.rejectedBy ?? [];
      return this.#undo(mounted, version, actor, { code, message, issues: [...issues], rejectedBy });
    }
    const { revision } = outcome.snapshot;
    const { rejectedBy, unanswered } = await answersTo(revision);
    const problem = rejectedBy.length === 0 ? this.#missing(mounted, version) : undefined;
    if (rejectedBy.length > 0) {
      const [first] = rejectedBy;
      const message = `${first!.name || 'a program'} rejects it: ${first!.message}`;
      return this.#undo(mounted, version, actor, { code: 'refused', message, issues: [], rejectedBy });
    }
    const isAll = unanswered.length === 0 && !problem;
    const message = problem ?? (isAll ? 'every program runs it' : `not answered yet by ${unanswered.join(', ')}`);
    log(isAll ? 'info' : 'warn', 'rotation_completed', `version ${version} of ${mounted.name}: ${message}`, {
      ...facts,
      revision,
    });
    return {
      ...facts,
      outcome: isAll ? 'rotated' : 'unconfirmed',
      revision,
      message,
      issues: [],
      rejectedBy,
      unanswered,
    };
  }

  /** Throws `not_permitted` where a new version would reach no program. */
  #assertFlows({ name, partName, options }: MountedSecret): void {
    const { pins, store } = this.#parts;
    if (pins.pin) {
      const what = `revision ${pins.pin.revision} is pinned: a new version would not be served`;
      throw new DaemonError('not_permitted', what, { subject: name, mend: 'run `hotconf unpin` first' });
    }
    const above = shadowing(store.current, partName);
    if (!above) return;
    const what = `${formatPath(options.at)} is given by ${above.name}: a new version would not be served`;
    throw new DaemonError('not_permitted', what, { subject: name, mend: 'take it out there first' });
  }

  /** Why the new version is not what is served, where it is not. */
  #missing({ partName }: MountedSecret, version: number): string | undefined {
    const { current } = this.#parts.store;
    const part = gcpPart(current, partName);
    if (part && Number(part.version) >= version) {
      const above = shadowing(current, partName);
      return above && `version ${version} is added, and its values are given by ${above.name}`;
    }
    return `version ${version} is added and is not served: see \`hotconf status\``;
  }

  #find(name: string, at: string | undefined): MountedSecret {
    const { source } = this.#parts;
    if (!source)
      throw new DaemonError('usage', 'there is no sources.gcp in the options', { mend: 'rotate needs Secret Manager' });
    const path = at === undefined ? [] : parsePath(at);
    const isAbove = (mount: Path) => mount.every((key, i) => path?.[i] === key);
    const mounted = source.served(name).find(({ options }) => at === undefined || isAbove(options.at));
    if (!mounted) {
      const what = at === undefined ? 'no such secret is served' : `it is not mounted at or above ${at}`;
      throw new DaemonError('usage', what, { subject: name, mend: 'see the sources in `hotconf status`' });
    }
    const { kind } = mounted.choice;
    if (kind === 'newest-enabled' || kind === 'latest') return mounted;
    const what = `it is pinned by its ${kind}: a new version would not be served`;
    throw new DaemonError('not_permitted', what, { subject: name, mend: 'set version: newest-enabled in the options' });
  }

  /** Disables the version and reads again, so that the one before is served. */
  async #undo(
    mounted: MountedSecret,
    version: number,
    actor: Actor,
    why: Pick<RotationResult, 'code' | 'message' | 'issues' | 'rejectedBy'>,
  ): Promise<RotationResult> {
    const { source, log, signal, reload } = this.#parts;
    const facts = { secret: mounted.name, version };
    log('error', 'rotation_rejected', `version ${version} of ${mounted.name} is taken back: ${why.message}`, facts);
    let { message } = why;
    try {
      await (await source!.manager()).disable(mounted.secret, version, signal);
      source!.note('DISABLE', mounted.secret, version);
    } catch (error) {
      message += `; and the new version could not be disabled: ${(error as Error).message}`;
    }
    const outcome = await reload({ ...actor, reason: `${actor.reason}: taken back` });
    const revision = outcome.kind === 'rejected' ? 0 : outcome.snapshot.revision;
    return { ...facts, ...why, message, outcome: 'rejected', revision, unanswered: [] };
  }
}

/** The part that gives every value of a secret in its place, where one does. */
function shadowing(current: Snapshot | undefined, partName: string): LayerPart | undefined {
  const part = gcpPart(current, partName);
  if (!current || !part) return undefined;
  const winners = leavesOf(part.settings).map((path) => winningPart(current.parts, path));
  return winners.includes(part) ? undefined : winners[0];
}

const gcpPart = (current: Snapshot | undefined, partName: string) =>
  current?.parts.find(({ kind, name }) => kind === 'gcp' && name === partName);
