import { Worker } from 'node:worker_threads';
import pLimit from 'p-limit';
import type { DaemonErrorCode } from '../../schemas/errors.ts';
import { deepFreeze, forbiddenKeys, isObject, type JsonObject } from '../../schemas/json.ts';
import { formatPath, nest, type Path } from '../../schemas/paths.ts';
import { DaemonError, type ErrorFacts } from '../model/errors.ts';
import type { Format } from '../model/format.ts';
import { decodeText } from './decode-text.ts';
import { type EnvNaming, settingsOfEnv } from './parse-env.ts';
import { parseEnvText } from './parse-env-text.ts';
import { encrypted, forbiddenKey, type ParseRules, tooManyKeys } from './parse-rules.ts';
import { checkTree, isCiphertext, parseText } from './parse-text.ts';

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
  // The last key may be the name of a file or of a secret, which anybody could have chosen.
  if (request.at.some((key) => forbiddenKeys.has(key))) throw forbiddenKey(request.rules, formatPath(request.at));
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
  if (format === 'text') {
    if (isCiphertext(text)) throw encrypted(rules);
    return text.replace(/\r?\n$/, '');
  }
  if (format === 'env') {
    const variables = parseEnvText(text, rules.subject);
    const names = Object.keys(variables);
    if (names.length > rules.keys) throw tooManyKeys(rules);
    if (names.includes('sops_mac') || Object.values(variables).some(isCiphertext)) throw encrypted(rules);
    if (names.length === 0) return undefined;
    const settings = settingsOfEnv(variables, naming, rules.subject, rules.depth);
    checkTree(settings, rules);
    return settings;
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

/** What a worker may take: memory, and time. A document within the limits needs a part of either. */
const workerMegabytes = 128;
const workerMs = 10_000;
const atATime = pLimit(2);

/** One worker a document: large ones are rare, and a worker that lives on would cost more memory than they do time. */
function parseInWorker(text: string, format: 'yaml' | 'json', rules: ParseRules): Promise<JsonObject | undefined> {
  return atATime(() => {
    const resourceLimits = { maxOldGenerationSizeMb: workerMegabytes };
    const worker = new Worker(workerFile, { workerData: { text, format, rules }, resourceLimits });
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      void worker.terminate();
    }, workerMs).unref();
    return new Promise<JsonObject | undefined>((resolve, reject) => {
      worker.once('message', (reply: ParseReply) => {
        if ('settings' in reply) resolve(reply.settings);
        else reject(restore(reply));
      });
      worker.once('error', (error: NodeJS.ErrnoException) =>
        reject(error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? tooMuchToParse(rules) : error),
      );
      // After an answer this changes nothing.
      worker.once('exit', () => reject(tooMuchToParse(rules, isLate)));
    }).finally(() => clearTimeout(timer));
  });
}

function tooMuchToParse({ subject }: ParseRules, isLate = false): DaemonError {
  const what = `takes more than ${workerMegabytes} MiB or ${workerMs / 1000} s to parse`;
  const mend = 'split the file, or write it simpler';
  // A slow machine may be the reason, so that it is worth another try.
  return new DaemonError('source_too_large', what, { subject, mend, ...(isLate && { systemCode: 'ETIMEDOUT' }) });
}

function restore({ code, message, facts }: Exclude<ParseReply, { settings: unknown }>): DaemonError {
  const error = new DaemonError(code, '', facts);
  error.message = message;
  return error;
}
