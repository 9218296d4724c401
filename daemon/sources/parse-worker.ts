import { parentPort, workerData } from 'node:worker_threads';
import { DaemonError } from '../model/errors.ts';
import { parseEnvText } from './parse-env-text.ts';
import { parseText } from './parse-text.ts';
import type { ParseReply, ParseTask } from './parser.ts';

// Runs in a worker: parses the one document that it was given, answers, and ends.
const { text, format, rules } = workerData as ParseTask;

function answer(): ParseReply<unknown> {
  try {
    return { settings: format === 'env' ? parseEnvText(text, rules) : parseText(text, format, rules) };
  } catch (error) {
    if (!(error instanceof DaemonError)) throw error;
    return { code: error.code, message: error.message, facts: error.facts };
  }
}

parentPort!.postMessage(answer());
