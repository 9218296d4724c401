import { parentPort, workerData } from 'node:worker_threads';
import type { ValidationTask } from './bounded-validation.ts';
import { compileAppSchema } from './load-app-schema.ts';

// Runs in a worker: validates the one candidate that it was given, answers, and ends.
const { root, file, settings } = workerData as ValidationTask;
parentPort!.postMessage(compileAppSchema(root, file, false).validate(settings));
