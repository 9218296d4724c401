import { Worker } from 'node:worker_threads';
import type { DaemonErrorCode } from '../../schemas/errors.ts';
import { deepFreeze, isObject, type JsonObject } from '../../schemas/json.ts';
import { nest, type Path } from '../../schemas/paths.ts';
import { DaemonError, type ErrorFacts } from '../model/errors.ts';
import type { Format } from '../model/format.ts';
import { decodeText } from './decode-text.ts';
import { type EnvNaming, parseEnvText, settingsOfEnv } from './parse-env.ts';
import type { ParseRules } from './parse-rules.ts';
import { parseText } from './parse-text.ts';

/** Documents of more characters, or that look deeply nested, could hold up the event loop: a worker parses them. */
const inlineLimit = 32 * 1024;

export interface ParseRequest {
  readonly format: Format;
  readonly at: Path;
  readonly naming: EnvNaming;
  readonly rules: ParseRules;
}

/**
 * The settings in a file's bytes, frozen, under the path where they are mounted; `'nothing'` when there are only
 * comments. Throws `source_empty` and every other code about content.
 */
export async function parseBytes(bytes: Uint8Array, request: ParseRequest): Promise<JsonObject | 'nothing'> {
  const text = decodeText(bytes, request.rules.subject);
  if (text.trim() === '') {
    throw new DaemonError('source_empty', 'is empty', {
      subject: request.rules.subject,
      mend: 'write {} in a YAML or JSON file to mean no settings',
    });
  }
  const settings = await parse(text, request);
  if (settings === undefined) return 'nothing';
  const mounted = nest(request.at, settings);
  return deepFreeze(isObject(mounted) ? mounted : {});
}

async function parse(text: string, { format, naming, rules }: ParseRequest) {
  if (format === 'text') return text.replace(/\r?\n$/, '');
  if (format === 'env') {
    const variables = parseEnvText(text, rules.subject);
    return Object.keys(variables).length === 0 ? undefined : settingsOfEnv(variables, naming, rules.subject);
  }
  const isHeavy = text.length > inlineLimit || bracketDepth(text) > rules.depth;
  return isHeavy ? parseInWorker(text, format, rules) : parseText(text, format, rules);
}

/** An upper bound of the nesting by brackets: those in quotes and comments count too. */
function bracketDepth(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const [bracket] of text.matchAll(/[[\]{}]/g)) {
    depth += bracket === '[' || bracket === '{' ? 1 : -1;
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}

export type ParseReply =
  | { readonly settings: JsonObject | undefined }
  | { readonly code: DaemonErrorCode; readonly message: string; readonly facts: ErrorFacts };

/** Beside this file in the sources; in the build, whose other files are all in its `daemon` folder, where it was built to. */
const workerFile = new URL(
  import.meta.filename.endsWith('.ts') ? './parse-worker.ts' : './sources/parse-worker.js',
  import.meta.url,
);

/** One worker a document: large ones are rare, and a worker that lives on would cost more memory than they do time. */
function parseInWorker(text: string, format: 'yaml' | 'json', rules: ParseRules): Promise<JsonObject | undefined> {
  const worker = new Worker(workerFile, { workerData: { text, format, rules } });
  return new Promise((resolve, reject) => {
    worker.once('message', (reply: ParseReply) => {
      if ('settings' in reply) resolve(reply.settings);
      else reject(restore(reply));
    });
    worker.once('error', reject);
    worker.once('exit', () =>
      reject(new DaemonError('source_malformed', 'the parser gave up on it', { subject: rules.subject })),
    );
  });
}

function restore({ code, message, facts }: Exclude<ParseReply, { settings: unknown }>): DaemonError {
  const error = new DaemonError(code, '', facts);
  error.message = message;
  return error;
}
