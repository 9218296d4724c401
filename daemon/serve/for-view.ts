import type { Issue } from '../../schemas/errors.ts';
import type { JsonObject } from '../../schemas/json.ts';
import { parsePath } from '../../schemas/paths.ts';
import type { DaemonState, RotationResult, Validation } from '../../schemas/wire.ts';
import { cutIssues, cutPaths, frameLimits } from '../model/cut-paths.ts';
import { DaemonError } from '../model/errors.ts';
import type { ReloadOutcome } from '../model/snapshot.ts';
import type { ViewFilter } from '../model/view-filter.ts';
import type { View } from './view.ts';

/** What became of settings that were not accepted. */
interface Failure {
  readonly code?: string;
  readonly message: string;
  readonly issues?: readonly Issue[];
}

/** What operators are told about the daemon, as far as programs may be told something of it too. */
interface OperatorsSummary {
  readonly environment: string;
  readonly hotReloadEnabled: boolean;
  readonly configured: Readonly<Record<string, boolean>>;
  readonly sources: readonly { readonly id: string; readonly kind: string; readonly state: string }[];
  readonly pinned: object | null;
}

/** The settings that a view shows, and how many of them are secret. */
export interface SeenSettings {
  readonly settings: JsonObject;
  readonly secrets: number;
}

/** Failures whose words come from programs. */
const byPrograms: ReadonlySet<string> = new Set([
  'subscriber_rejected',
  'subscriber_silent',
  'candidate_quarantined',
  'refused',
]);
/** Failures whose issues are about single settings, in words of the schema. */
const bySettings: ReadonlySet<string> = new Set(['settings_invalid', 'too_much_removed']);
/** Rules whose message may name keys beside or below the path. */
const namesKeys = /^(additional|unevaluated)Properties$|^dependen|^propertyNames$/;

const notAccepted = 'not every program accepts the new settings; operators see which one and why';
const outside = 'the new settings are not accepted, for a reason outside of this view';

/**
 * The one place that decides what programs of a view are told of what happened. Of what lies outside of the view they
 * get a code and nothing else: no path, name or number. What one program says, its name included, reaches no other.
 */
export class ForView {
  readonly #view: View;
  readonly #isCanary: boolean;

  /** `isCanary`: the program runs what is staged. */
  constructor(view: View, isCanary: boolean) {
    this.#view = view;
    this.#isCanary = isCanary;
  }

  /** A commit that changes nothing in the view is `unchanged`; the revision is the one that the program is to run. */
  reload(outcome: ReloadOutcome) {
    if (outcome.kind === 'rejected') return { outcome: outcome.kind, ...this.#failure(failureOf(outcome.error)) };
    const snapshots = outcome.kind === 'committed' ? [outcome.urgent, outcome.snapshot] : [];
    const made = snapshots.flatMap((snapshot) => (snapshot && this.#view.madeBy(snapshot)) ?? []);
    const changed = cutPaths([...new Set(made.flatMap((edition) => edition.changed))], frameLimits);
    const revision = made.at(-1)?.revision ?? this.#edition.revision;
    return { outcome: made.length > 0 ? ('committed' as const) : ('unchanged' as const), revision, changed };
  }

  validation({ valid, code = 'settings_invalid', issues }: Validation & { readonly code?: string }) {
    if (valid) return { valid, issues: [] };
    const { message, ...seen } = this.#failure({ code, message: outside, issues });
    return { valid, ...seen, ...(seen.issues.length === 0 && { issues: [{ path: '', keyword: 'view', message }] }) };
  }

  /** Names no other program, and neither the reason of one that rejects it. */
  rotation({ outcome, secret, version, ...result }: RotationResult): RotationResult {
    const about = { outcome, secret, version, revision: this.#edition.revision, rejectedBy: [], unanswered: [] };
    if (outcome === 'rotated') return { ...about, message: 'every program runs it', issues: [] };
    if (outcome === 'unconfirmed')
      return { ...about, message: 'it is added, and not every program is known to run it', issues: [] };
    return { ...about, ...this.#failure(result) };
  }

  get filter(): ViewFilter {
    return this.#view.filter;
  }

  /** The daemon, as far as it serves this view. */
  summary(all: OperatorsSummary, { settings, secrets }: SeenSettings) {
    const { revision, epoch, committedAt } = this.#edition;
    const isOwn = (part: string) => settings[part] !== undefined || this.filter.sees([part]);
    return {
      environment: all.environment,
      revision,
      epoch,
      loadedAt: committedAt,
      hotReloadEnabled: all.hotReloadEnabled,
      secretsLoaded: secrets,
      configured: Object.fromEntries(
        Object.keys(all.configured)
          .filter(isOwn)
          .map((part) => [part, settings[part] !== undefined]),
      ),
      sources: all.sources
        .filter(({ id }) => this.#view.isFrom(id))
        .map(({ id, kind, state }) => ({ id, kind, state })),
      pinned: all.pinned && { revision },
      lastReload: { at: committedAt, outcome: 'committed', revision },
    };
  }

  /** What failed while a request was answered, in words that the program may have. */
  error(thrown: unknown): DaemonError {
    if (!(thrown instanceof DaemonError))
      return new DaemonError('internal', 'the daemon could not answer; see its log', { cause: thrown });
    const { message, issues } = this.#failure(failureOf(thrown));
    return new DaemonError(thrown.code, message === outside ? 'it is not possible now' : message, { issues });
  }

  get #edition() {
    const { current, staged } = this.#view;
    return ((this.#isCanary && staged) || current!).seen;
  }

  #failure({ code = 'internal', message, issues: all = [] }: Failure) {
    if (byPrograms.has(code)) return { code, message: notAccepted, issues: [] };
    const issues = all.filter(({ keyword }) => keyword !== 'verify' && !byPrograms.has(keyword));
    const { isAll } = this.#view.filter;
    const seen = isAll ? issues : bySettings.has(code) ? issues.filter((issue) => this.#isSeen(issue)) : [];
    if (isAll) return { code, message, ...cutIssues({ issues: seen }, frameLimits) };
    const [first] = seen;
    const more = seen.length > 1 ? `, and ${seen.length - 1} more` : '';
    const words = first ? `${first.path}: ${first.message}${more}` : outside;
    return { code, message: words, ...cutIssues({ issues: seen }, frameLimits) };
  }

  #isSeen({ path: text, keyword }: Issue): boolean {
    const path = parsePath(text) ?? [];
    // What concerns the settings as a whole lies in no view but one that shows everything.
    if (path.length === 0) return false;
    const { filter } = this.#view;
    return namesKeys.test(keyword) ? filter.seesAll(path) : filter.sees(path);
  }
}

/** The state of the daemon as programs of a view are told: sources that give them nothing do not concern them. */
export function stateFor(view: View, { kind, since, sources }: DaemonState): DaemonState {
  const own = sources.filter(({ id }) => view.isFrom(id));
  return { kind: kind === 'stale' && own.length === 0 ? 'ready' : kind, since, sources: own };
}

function failureOf({ code, message, facts }: DaemonError): Failure {
  return { code, message, issues: facts.issues ?? [] };
}
