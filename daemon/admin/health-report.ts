import type { Clock } from '../ops/clock.ts';
import type { Health } from '../ops/health.ts';
import type { SnapshotStore } from '../reload/snapshot-store.ts';
import type { Source } from '../sources/source.ts';

/** Programs can connect while it serves. */
export type Phase = 'starting' | 'serving' | 'stopping';

export interface HealthReportParts {
  readonly store: SnapshotStore;
  readonly health: Health;
  readonly sources: readonly Source[];
  readonly clock: Clock;
  readonly phase: () => Phase;
}

/**
 * Whether programs are served now, what is wrong, and how long ago each source was found well. Ready is who has a snapshot
 * and sockets to give it out; being stale or degraded is told beside it, and hides nothing.
 */
export function reportHealth({ store, health, sources, clock, phase }: HealthReportParts) {
  const { current } = store;
  const ageOf = (at: number | undefined) => (at === undefined ? null : Math.max(0, clock.wall() - at) / 1000);
  const now = !current ? 'starting' : phase();
  const hasLostSockets = health.troubles.some(({ key }) => key === 'sockets');
  return {
    isReady: now === 'serving' && !hasLostSockets,
    status: now === 'serving' ? health.state.kind : now,
    reasons: health.troubles.map(({ key }) => key),
    revision: current?.revision ?? 0,
    snapshotAgeSeconds: ageOf(current && Date.parse(current.committedAt)),
    sources: sources.map(({ id, kind, heardAt }) => ({
      id,
      kind,
      state: health.staleness(id) ? 'stale' : 'current',
      ageSeconds: ageOf(heardAt),
    })),
  };
}

/** `serving revision 7 to 3 programs, stale (source:gcp)`. */
export function describeHealth(parts: HealthReportParts, programs: number): string {
  const { status, reasons, revision } = reportHealth(parts);
  return `serving revision ${revision} to ${programs} programs, ${status}${reasons.length > 0 ? ` (${reasons.join(', ')})` : ''}`;
}
