import { DaemonError } from '../model/errors.ts';
import { systemClock } from '../ops/clock.ts';
import type { Log } from '../ops/log.ts';
import type { Options } from '../ops/options.ts';
import { Redaction } from '../ops/redaction.ts';
import { LayerStore } from '../reload/layer-store.ts';
import { loadAppSchema } from '../reload/load-app-schema.ts';
import { CandidateMaker } from '../reload/make-candidate.ts';
import { createSources } from '../sources/create-sources.ts';
import { daemonUser } from './daemon-user.ts';

/** How long a source that does not answer is waited for. */
const patienceMs = 10_000;

/**
 * Loads every source, merges and validates, as a start by the daemon's user would, and keeps nothing. Throws a
 * `DaemonError` that says what is wrong. What is only doubtful, such as a file that others may read, goes to the log.
 */
export async function tryOutSettings(options: Options, env: NodeJS.ProcessEnv, log: Log): Promise<void> {
  const { schema, doubts, ...validation } = loadAppSchema(options.schema);
  for (const doubt of doubts) log('warn', 'schema_doubtful', `${options.schema}: ${doubt}`);
  const layers = new LayerStore(
    createSources({
      options,
      env,
      schema,
      redaction: new Redaction(),
      clock: systemClock,
      onWatchHealth: () => {},
      instance: () => '',
      reader: daemonUser(options),
      log,
    }),
  );
  const { deadlineMs } = options.reload;
  const patience = { graceMs: 0, patienceMs: Math.min(patienceMs, deadlineMs * 0.9) };
  const request = { fresh: true, acceptGone: true, acceptMissing: false, ...patience };
  try {
    await layers.load(layers.sourceIds, request, AbortSignal.timeout(deadlineMs));
    const candidates = new CandidateMaker({ ...validation, maxBytes: options.limits.snapshotSize });
    const parts = layers.partsOf(layers.newest);
    await candidates.prepare(parts);
    candidates.make(parts);
  } catch (error) {
    throw error instanceof DaemonError ? await layers.located(error) : error;
  } finally {
    await layers.close();
  }
}
