import type { Issue } from '../../schemas/errors.ts';
import type { JsonObject } from '../../schemas/json.ts';
import { DaemonError } from '../model/errors.ts';
import { runWorker, WorkerEnded, workerFile } from '../ops/run-worker.ts';
import { within } from '../ops/within.ts';

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

/** The result of a check that may take long. Throws `validation_too_slow` after `ms`, by default 100. */
export function checkWithin(check: () => boolean, ms = loopMs): boolean {
  const isValid = within(ms, check);
  if (isValid === 'late') throw tooSlow(`takes more than ${ms} ms`);
  return isValid;
}

/** See {@link ValidateElsewhere}. */
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
