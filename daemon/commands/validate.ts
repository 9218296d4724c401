import type { Issue } from '../../schemas/errors.ts';
import { DaemonError } from '../model/errors.ts';
import { systemClock } from '../ops/clock.ts';
import type { Log } from '../ops/log.ts';
import { findOptionsFile, loadOptions } from '../ops/options-file.ts';
import { Redaction } from '../ops/redaction.ts';
import { LayerStore } from '../reload/layer-store.ts';
import { CandidateMaker } from '../reload/make-candidate.ts';
import { loadAppSchema } from '../reload/validate-candidate.ts';
import { createSources } from '../sources/create-sources.ts';
import { type Io, printJson, printLines, type SharedOptions } from './io.ts';
import { tellPreview } from './reload.ts';

/**
 * Loads, merges and validates without a daemon; or asks the running one, whose programs try it too. Tells each issue; 0
 * when there is none, else 65.
 */
export async function validate(options: SharedOptions & { readonly live?: boolean }, io: Io): Promise<number> {
  if (options.live) return tellPreview(options, io, 65);
  const issues = await issuesOf(options, io);
  if (options.json) printJson(io, { valid: issues.length === 0, issues });
  else
    printLines(
      io,
      issues.length === 0
        ? ['valid']
        : issues.map(({ path, message }) => `${path && !message.includes(path) ? `${path}: ` : ''}${message}`),
    );
  return issues.length === 0 ? 0 : 65;
}

async function issuesOf(shared: SharedOptions, io: Io): Promise<readonly Issue[]> {
  // A missing options file is no finding about settings: it leaves by its own exit code.
  const file = findOptionsFile(shared.config, io.env);
  try {
    const options = loadOptions(file, io.env);
    const { schema, validate: check } = loadAppSchema(options.schema);
    const log: Log = (_level, _event, message) => void io.stderr.write(`${message}\n`);
    const layers = new LayerStore(
      createSources({
        options,
        env: io.env,
        schema,
        redaction: new Redaction(),
        clock: systemClock,
        onWatchHealth: () => {},
        instance: () => '',
        log,
      }),
    );
    const { deadlineMs } = options.reload;
    const request = { fresh: true, acceptGone: true, acceptMissing: false, graceMs: 0, patienceMs: deadlineMs * 0.9 };
    try {
      await layers.load(layers.sourceIds, request, AbortSignal.timeout(deadlineMs));
    } finally {
      await layers.close();
    }
    const maker = new CandidateMaker({ validate: check, maxBytes: options.limits.snapshotSize });
    maker.make(layers.partsOf(layers.newest));
    return [];
  } catch (error) {
    if (!(error instanceof DaemonError) || error.code === 'options_missing') throw error;
    return error.issues;
  }
}
