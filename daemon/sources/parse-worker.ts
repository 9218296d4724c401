import { parentPort, workerData } from 'node:worker_threads';
import { DaemonError } from '../model/errors.ts';
import type { ParseRules } from './parse-rules.ts';
import { parseText } from './parse-text.ts';
import type { ParseReply } from './parser.ts';

// Runs in a worker: parses the one document that it was given, answers, and ends.
const { text, format, rules } = workerData as { text: string; format: 'yaml' | 'json'; rules: ParseRules };

function answer(): ParseReply {
  try {
    return { settings: parseText(text, format, rules) };
  } catch (error) {
    if (!(error instanceof DaemonError)) throw error;
    return { code: error.code, message: error.message, facts: error.facts };
  }
}

parentPort!.postMessage(answer());
