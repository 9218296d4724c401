import type { JsonObject } from '../../schemas/json.ts';
import { compare } from '../../schemas/patch.ts';
import type { Snapshot } from '../model/snapshot.ts';
import { orAborted } from '../ops/abort.ts';
import type { Trial, Voters } from '../reload/verify-candidate.ts';
import { rejectingOf } from './rejecting.ts';
import type { Roster } from './roster.ts';
import type { Session } from './session.ts';
import type { Verdict } from './trials.ts';
import type { ViewServer } from './view-server.ts';

export interface VerificationsParts {
  readonly servers: readonly ViewServer[];
  readonly roster: Roster;
}

/** A program that refused something and was absent so often when it was to be asked again has no say in it any more. */
const maxAbsences = 2;

/** Asks the programs with `verify` about candidates. */
export class Verifications implements Voters {
  readonly #parts: VerificationsParts;
  /** How often a program that refused something was absent when it was to be asked again. */
  readonly #absences = new Map<string, number>();

  constructor(parts: VerificationsParts) {
    this.#parts = parts;
  }

  viewsAsked(candidate: Snapshot): readonly string[] {
    const { servers, roster } = this.#parts;
    const isAsked = ({ verifies, hasVote }: Session) => verifies && hasVote;
    const asking = servers.filter(({ view, sessions }) => roster.isAwaiting([view.name]) || sessions.some(isAsked));
    return viewsChangedBy(asking, candidate);
  }

  isShown(name: string, before: JsonObject, after: JsonObject): boolean {
    const server = this.#parts.servers.find(({ view }) => view.name === name);
    if (!server) return false;
    const { filter } = server.view;
    return compare(filter.apply(before), filter.apply(after)).operations.length > 0;
  }

  /**
   * Has every program with `verify` try a candidate, where it changes something for it. Nobody keeps it. After a start it
   * waits for the programs of those views that were connected before. Of `refusers`, who refused the same before, one that
   * is absent counts as silent, the first time.
   */
  async tryOut(
    candidate: Snapshot,
    signal: AbortSignal,
    refusers: readonly string[],
    since = Number.POSITIVE_INFINITY,
  ): Promise<Trial> {
    const { servers, roster } = this.#parts;
    // With nothing to serve meanwhile, the sockets are not open, and nobody can come back.
    if (servers.some(({ view }) => view.current))
      await orAborted(roster.returned(viewsChangedBy(servers, candidate)), signal);
    const asked = servers.flatMap(({ view, sessions }) => {
      const edition = view.candidate(candidate);
      return edition ? sessions.filter(({ verifies }) => verifies).map((session) => ({ session, edition })) : [];
    });
    const trying = asked.flatMap(({ session, edition }) => {
      const hadVote = session.hasVote;
      const verdict = session.tryOut(edition, since);
      // What it says later gives it its vote back.
      return hadVote ? [verdict.then((said) => ({ session, said }))] : [];
    });
    const verdicts = await orAborted(Promise.all(trying), signal);
    const changed = refusers.length > 0 ? viewsChangedBy(servers, candidate) : [];
    return {
      asked: asked.length,
      ...this.#judge(verdicts, this.#absentOf(refusers, changed)),
    };
  }

  /** The program is back, or has said goodbye. */
  forget(voter: string): void {
    this.#absences.delete(voter);
  }

  #judge(
    verdicts: readonly { readonly session: Session; readonly said: Verdict }[],
    absent: readonly string[],
  ): Omit<Trial, 'asked'> {
    const rejecting = verdicts.flatMap(({ session, said }) => (said.kind === 'rejected' ? [{ session, said }] : []));
    const quiet = verdicts.flatMap(({ session, said }) =>
      said.kind === 'silent' && (session.hasVote || said.why === 'lost') ? [{ session, why: said.why }] : [],
    );
    for (const { session, why } of quiet) if (why === 'lost') this.#absences.set(session.voter, 1);
    return {
      rejectedBy: rejecting.map(({ session, said }) => rejectingOf(session, said.nack)),
      silent: [
        ...quiet.map(({ session: { name, pid }, why }) => ({ name, pid, why })),
        ...absent.map((voter) => ({ name: voter.slice(voter.indexOf('/') + 1), pid: 0, why: 'absent' as const })),
      ],
      refusers: [...[...rejecting, ...quiet].map(({ session }) => session.voter), ...absent],
    };
  }

  /** Those that are not connected and have not missed their turn before. */
  #absentOf(refusers: readonly string[], views: readonly string[]): readonly string[] {
    const isAsked = (voter: string) => views.includes(voter.slice(0, voter.indexOf('/')));
    return [...new Set(refusers)].filter((voter) => {
      if (this.#parts.roster.isConnected(voter) || !isAsked(voter)) return false;
      const absences = (this.#absences.get(voter) ?? 0) + 1;
      this.#absences.set(voter, absences);
      return absences < maxAbsences;
    });
  }
}

/** The names of the views in which a snapshot changes something. */
export function viewsChangedBy(servers: readonly ViewServer[], snapshot: Snapshot): readonly string[] {
  const changed = servers.filter(({ view }) => view.isChangedBy(snapshot));
  return changed.map(({ view }) => view.name);
}
