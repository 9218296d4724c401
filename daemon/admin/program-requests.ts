import type { Issue } from '../../schemas/errors.ts';
import { parsePath } from '../../schemas/paths.ts';
import type { Request } from '../../schemas/wire.ts';
import { cutChanges, cutPaths, frameLimits } from '../model/cut-paths.ts';
import { DaemonError } from '../model/errors.ts';
import type { Actor, ReloadOutcome } from '../model/snapshot.ts';
import type { ViewOptions } from '../ops/view-options.ts';
import type { Preview } from '../reload/commit-gate.ts';
import type { Answer } from '../serve/open-requests.ts';
import type { Rotation } from '../serve/rotation.ts';
import type { Session } from '../serve/session.ts';
import { type OperateParts, operate, outcomeOfRotation } from './operate.ts';
import { PacedReloads } from './paced-reloads.ts';
import type { Reports } from './reports.ts';

export interface ProgramRequestsParts extends OperateParts {
  readonly views: readonly ViewOptions[];
  readonly reports: () => Reports;
  readonly reload: (actor: Actor) => Promise<ReloadOutcome>;
  readonly preview: () => Promise<Preview>;
  readonly rotation: () => Rotation;
}

/** Answers what programs ask, each within what its view lets it see and do. */
export class ProgramRequests {
  readonly #parts: ProgramRequestsParts;
  readonly #reloads: PacedReloads;

  constructor(parts: ProgramRequestsParts) {
    this.#parts = parts;
    this.#reloads = new PacedReloads(parts.reload);
  }

  /** Throws what is told to the program. */
  async answer(request: Request, session: Session): Promise<Answer> {
    const view = this.#parts.views.find(({ name }) => name === session.view.name)!;
    return (await this.#answer(request, session, view)) as Answer;
  }

  async #answer(request: Request, session: Session, view: ViewOptions): Promise<unknown> {
    const { reports, preview } = this.#parts;
    if (request.kind === 'summary') return reports().summaryFor(view.filter);
    if (request.kind === 'config') return reports().configFor(view.filter);
    if (request.kind === 'rotate') return this.#rotate(request, session, view);
    if (request.kind === 'reload') return this.#reload(request, session, view);
    const { valid, issues, changed, removed } = await preview();
    return {
      valid,
      issues: seenIssues(issues, view),
      ...cutChanges({ changed: seenPaths(changed, view), removed: seenPaths(removed, view) }, frameLimits),
    };
  }

  async #reload({ reason }: Request, session: Session, view: ViewOptions): Promise<unknown> {
    if (!view.mayReload)
      throw new DaemonError('not_permitted', 'this view may not reload', { mend: 'set mayReload for the view' });
    const outcome = await this.#reloads.run({ cause: 'client', by: session.name, ...(reason && { reason }) });
    if (outcome.kind === 'rejected') {
      const { code, message, issues, facts } = outcome.error;
      const isTold = facts.path === undefined || isSeen(facts.path, view);
      return {
        outcome: outcome.kind,
        code,
        message: isTold ? message : 'the settings are not accepted, for something that this view does not see',
        issues: seenIssues(facts.issues ? issues : [], view),
      };
    }
    const changed =
      outcome.kind === 'committed' ? cutPaths(seenPaths(outcome.snapshot.changed, view), frameLimits) : [];
    // The revision that the program will run: what changed elsewhere has no number here.
    const { revision } = session.view.current?.seen ?? outcome.snapshot;
    return { outcome: outcome.kind, revision, changed };
  }

  async #rotate({ secret = '', value = '' }: Request, session: Session, view: ViewOptions): Promise<unknown> {
    if (!view.mayRotate)
      throw new DaemonError('not_permitted', 'this view may not rotate secrets', {
        mend: 'set mayRotate for the view',
      });
    const { name, pid, peer } = session;
    const by = { name, role: 'program', pid, ...(peer && { uid: peer.uid }) } as const;
    const request = { secret, value: Buffer.from(value, 'base64') };
    const task = () => this.#parts.rotation().rotate(request, { cause: 'client', by: name });
    return operate(this.#parts, { what: 'rotate', by, facts: { name: secret }, task, outcomeOf: outcomeOfRotation });
  }
}

function isSeen(text: string, { filter }: ViewOptions): boolean {
  return filter.sees(parsePath(text) ?? []);
}

function seenPaths(paths: readonly string[], view: ViewOptions): readonly string[] {
  return paths.filter((path) => isSeen(path, view));
}

/** What is wrong where the view does not see is told as that, and no more. */
function seenIssues(issues: readonly Issue[], view: ViewOptions): readonly Issue[] {
  const seen = issues.filter(({ path }) => isSeen(path, view));
  const hidden = issues.length - seen.length;
  if (hidden === 0) return seen;
  return [...seen, { path: '', keyword: 'view', message: `and ${hidden} more that this view does not see` }];
}
