import { leftOut } from '../model/cut-paths.ts';
import type { ReloadRecord } from '../model/snapshot.ts';
import type { Session } from '../serve/session.ts';
import type { SessionEvent } from '../serve/session-event.ts';
import type { AuditSeries } from './audit-files.ts';
import type { Entry } from './audit-queue.ts';
import type { Account, Happening } from './happenings.ts';

/** A record to be written, and where. */
export interface Noted {
  readonly series: AuditSeries;
  readonly entry: Entry;
  /** What it is and of whom, where others can cause it as often as they like: there is a quota for each kind. */
  readonly kind?: string;
  /** Texts of others in it are clean of secrets. */
  readonly isClean?: true;
}

/** What is written of something that happens; `undefined` for nothing. */
export function noteOf(happening: Happening): Noted | undefined {
  if (happening.kind === 'started')
    return ofOperators({ what: 'daemon', outcome: 'started', version: happening.version });
  if (happening.kind === 'stopping') return ofOperators({ what: 'daemon', outcome: 'stopping' });
  if (happening.kind === 'reload') return reloadNote(happening.record);
  if (happening.kind === 'session') return sessionNote(happening.event, happening.session);
  if (happening.kind === 'operation') {
    const { what, by, outcome, facts } = happening;
    return operationNote(what, by, outcome, facts);
  }
  if (happening.kind !== 'refusal') return undefined;
  const { by, why, status, route } = happening;
  const entry = { what: 'request', outcome: 'refused', ...(by && { by: accountOf(by) }), why, status, route };
  return { series: by ? 'operators' : 'programs', entry, kind: `request refused ${by?.name ?? 'without a name'}` };
}

/** What is written of what somebody asks for, before it is done and after. */
export function operationNote(what: string, by: Account, outcome: string, facts: Entry): Noted {
  const entry = { what, outcome, by: accountOf(by), ...facts };
  if (by.role !== 'program') return ofOperators(entry);
  return { series: 'programs', entry, kind: `${what} ${outcome} uid ${by.uid}` };
}

const ofOperators = (entry: Entry): Noted => ({ series: 'operators', entry });

/** Automatic ones without a change have a quota too: who may write a file may touch it as often as it likes. */
function reloadNote(record: ReloadRecord): Noted {
  const { outcome, cause, by, error } = record;
  const entry = reloadEntry(record);
  const isOfPrograms = cause === 'client' || (by === undefined && outcome === 'rejected' && error?.rejectedBy);
  const isQuiet = outcome !== 'committed' && ['file', 'env', 'secret-manager'].includes(cause);
  const kind = (isOfPrograms || isQuiet) && { kind: `reload ${outcome} ${cause}` };
  return { series: isOfPrograms ? 'programs' : 'operators', entry, ...kind, isClean: true };
}

function sessionNote(event: SessionEvent, { name, pid, view, peer }: Session): Noted | undefined {
  const who = { by: { kind: 'program', name, pid, ...(peer && { uid: peer.uid, gid: peer.gid }) }, view: view.name };
  const note = (what: string, outcome: string, more: Entry = {}): Noted => ({
    series: 'programs',
    entry: { what, outcome, ...who, ...more },
    kind: `${what} ${outcome} uid ${peer?.uid} view ${view.name}`,
  });
  if (event.kind === 'joined') return note('connection', 'taken');
  if (event.kind === 'refused') return note('connection', 'refused', { code: event.code, why: event.message });
  if (event.kind !== 'rejected') return undefined;
  const { revision, code, paths } = event.nack;
  return note('snapshot', 'rejected', { revision, code, keys: paths });
}

function accountOf({ name, role, uid, pid }: Account): Entry {
  return {
    kind: role === 'program' ? role : 'operator',
    name,
    role,
    ...(uid !== undefined && { uid }),
    ...(pid !== undefined && { pid }),
  };
}

function reloadEntry(record: ReloadRecord): Entry {
  const { outcome, cause, by, reason, to, pinned, revision, epoch, changed, removed, error } = record;
  const what = cause === 'rollback' ? 'rollback' : 'reload';
  const more = leftOut(record);
  return {
    what,
    outcome,
    cause,
    ...(by && { asker: by }),
    ...(reason && { reason }),
    ...(to !== undefined && { to }),
    ...(pinned !== undefined && { pinned }),
    revision,
    epoch,
    keys: changed,
    removed,
    ...(more > 0 && { moreKeys: more }),
    ...(error && {
      code: error.code,
      ...(error.rejectedBy && { rejectedBy: error.rejectedBy.map(({ name, pid }) => ({ name, pid })) }),
    }),
  };
}

const briefItems = 10;
const briefLength = 200;

/** A record that programs cause, at most 10 items of each list and 200 characters of each text; `more` counts the rest. */
export function brief(entry: Entry): Entry {
  let more = 0;
  const cut = (value: unknown): unknown => {
    if (typeof value === 'string')
      return value.length > briefLength ? `${value.slice(0, briefLength - 1).toWellFormed()}…` : value;
    if (Array.isArray(value)) {
      more += Math.max(0, value.length - briefItems);
      return value.slice(0, briefItems).map(cut);
    }
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, cut(inner)]));
  };
  const short = cut(entry) as Entry;
  return more > 0 ? { ...short, moreItems: more } : short;
}
