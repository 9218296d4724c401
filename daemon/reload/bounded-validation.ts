import type { Issue } from '../../schemas/errors.ts';
import type { JsonObject } from '../../schemas/json.ts';
import { DaemonError } from '../model/errors.ts';
import { runWorker, WorkerEnded, workerFile } from '../ops/run-worker.ts';
import { within } from '../ops/within.ts';
import type { Validate } from './validate-candidate.ts';

/** Validates in a worker, for up to 5 s. Throws `validation_too_slow`. */
export type ValidateElsewhere = (settings: JsonObject) => Promise<readonly Issue[]>;

/** What a worker is to validate. */
export interface ValidationTask {
  readonly root: JsonObject;
  readonly file: string;
  readonly settings: JsonObject;
}

/** How long the event loop may be held up. */
const loopMs = 100;

const worker = workerFile('reload', 'validate-worker', import.meta);

/** Stops after its time. */
export function bounded(validate: Validate): Validate {
  return (settings, ms = loopMs) => {
    const issues = within(ms, () => validate(settings));
    if (issues === 'late') throw tooSlow(`takes more than ${ms} ms`);
    return issues;
  };
}

export async function validateInWorker(task: ValidationTask): Promise<readonly Issue[]> {
  try {
    return await runWorker<readonly Issue[]>(worker, task);
  } catch (error) {
    throw error instanceof WorkerEnded ? tooSlow(error.message) : error;
  }
}

function tooSlow(what: string): DaemonError {
  return new DaemonError('validation_too_slow', `to validate the settings by the schema ${what}`, {
    mend: 'see `hotconf doctor` for the keywords of the schema that may take long',
  });
}
