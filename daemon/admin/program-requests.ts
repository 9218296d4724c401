import type { Request, RotationResult } from '../../schemas/wire.ts';
import { DaemonError } from '../model/errors.ts';
import type { Actor, ReloadOutcome } from '../model/snapshot.ts';
import { Budget } from '../ops/budget.ts';
import { systemClock } from '../ops/clock.ts';
import type { ViewOptions } from '../ops/view-options.ts';
import type { Preview } from '../reload/commit-gate.ts';
import { ForView } from '../serve/for-view.ts';
import type { Answer } from '../serve/open-requests.ts';
import type { Mount, Rotation } from '../serve/rotation.ts';
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

/** Each is new work for every program, and a new version for the project. */
const rotationsAMinute = 6;

/** Answers what programs ask, each within what its view lets it see and do. */
export class ProgramRequests {
  readonly #parts: ProgramRequestsParts;
  readonly #reloads: PacedReloads;
  readonly #rotations = new Budget(systemClock, rotationsAMinute);

  constructor(parts: ProgramRequestsParts) {
    this.#parts = parts;
    this.#reloads = new PacedReloads(parts.reload);
  }

  /** Throws what is told to the program. */
  async answer(request: Request, session: Session): Promise<Answer> {
    const view = this.#parts.views.find(({ name }) => name === session.view.name)!;
    const told = new ForView(session.view, session.isCanary);
    this.#assertAllowed(request, view);
    try {
      return (await this.#answer(request, session, told)) as Answer;
    } catch (error) {
      if (!(error instanceof DaemonError)) this.#parts.happenings.tell({ kind: 'unexpected' });
      throw told.error(error);
    }
  }

  async #answer(request: Request, session: Session, told: ForView): Promise<unknown> {
    const { reports, preview } = this.#parts;
    const { kind, reason } = request;
    if (kind === 'summary') return reports().summaryFor(told);
    if (kind === 'config') return reports().configFor(session.view.filter);
    if (kind === 'rotate') return told.rotation(await this.#rotate(request, session));
    if (kind === 'validate') return told.validation(await preview());
    return told.reload(await this.#reloads.run({ cause: 'client', by: session.name, ...(reason && { reason }) }));
  }

  /** Throws `not_permitted` or `rate_limited`, in words that are the same for what is not there and what is another view's. */
  #assertAllowed({ kind, secret = '' }: Request, { name, filter, mayReload, mayRotate }: ViewOptions): void {
    if (kind === 'reload' && !mayReload)
      throw new DaemonError('not_permitted', 'this view may not reload', { mend: 'set mayReload for the view' });
    if (kind !== 'rotate') return;
    if (!mayRotate)
      throw new DaemonError('not_permitted', 'this view may not rotate secrets', {
        mend: 'set mayRotate for the view',
      });
    const mounts = this.#parts.rotation().mountsOf(secret);
    const isOwn = ({ at, isText }: Mount) => filter.seesAll(at) || (isText && filter.sees(at));
    if (mounts.length === 0 || !mounts.every(isOwn))
      throw new DaemonError('not_permitted', 'this view may not rotate this secret, or there is none of this name', {
        mend: 'a program can rotate a secret of which its view shows everything, wherever it is mounted',
      });
    if (this.#rotations.take(name) === undefined)
      throw new DaemonError('rate_limited', `a view may rotate ${rotationsAMinute} times a minute`, {
        mend: 'try later',
      });
  }

  #rotate({ secret = '', value = '' }: Request, { name, pid, peer }: Session): Promise<RotationResult> {
    const by = { name, role: 'program', pid, ...(peer && { uid: peer.uid }) } as const;
    const request = { secret, value: Buffer.from(value, 'base64') };
    const task = () => this.#parts.rotation().rotate(request, { cause: 'client', by: name });
    return operate(this.#parts, { what: 'rotate', by, facts: { name: secret }, task, outcomeOf: outcomeOfRotation });
  }
}
