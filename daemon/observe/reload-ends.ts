import type { DaemonError } from '../model/errors.ts';
import type { ReloadOutcome, ReloadRecord } from '../model/snapshot.ts';
import type { Health } from '../ops/health.ts';
import type { History } from '../ops/history.ts';
import type { Log } from '../ops/log.ts';
import { describeReloadEnd } from '../reload/describe-reload.ts';
import type { SnapshotStore } from '../reload/snapshot-store.ts';
import type { Happenings } from './happenings.ts';

export interface ReloadEndsParts {
  readonly environment: string;
  readonly log: Log;
  readonly history: History;
  readonly health: Health;
  readonly happenings: Happenings;
  readonly store: SnapshotStore;
  /** What is wrong with each source that is not well. */
  readonly problems: () => ReadonlyMap<string, DaemonError>;
}

/** Makes the end of each reload known: log, history, health, and whoever observes. */
export class ReloadEnds {
  readonly #parts: ReloadEndsParts;

  constructor(parts: ReloadEndsParts) {
    this.#parts = parts;
  }

  add(given: ReloadRecord, outcome: ReloadOutcome): void {
    const { environment, log, history, health, happenings, store, problems } = this.#parts;
    const record = history.cleaned(given);
    const { secretsLoaded } = store;
    const said = outcome.kind === 'rejected' ? outcome.error.message : undefined;
    const staleSources = [...problems()].filter(([, { message }]) => message === said).map(([id]) => id);
    const stale = store.current && staleSources.length > 0 && { stale: true, staleSources };
    for (const { level, event, message, fields } of describeReloadEnd(record, outcome))
      log(level, event, message, { ...fields, ...stale, environment, secretsLoaded });
    if (history.add(record)) health.setDegraded('state', undefined);
    happenings.tell({ kind: 'reload', record, outcome });
    // Before the first snapshot nothing keeps anything.
    if (store.current) health.setProblems(problems(), said);
  }
}
