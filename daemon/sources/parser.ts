import type { DaemonErrorCode } from '../../schemas/errors.ts';
import { deepFreeze, forbiddenKeys, isObject, type JsonObject } from '../../schemas/json.ts';
import { formatPath, nest, type Path } from '../../schemas/paths.ts';
import { DaemonError, type ErrorFacts } from '../model/errors.ts';
import type { Format } from '../model/format.ts';
import { runWorker, WorkerEnded, workerFile } from '../ops/run-worker.ts';
import { decodeText } from './decode-text.ts';
import { type EnvNaming, settingsOfEnv } from './parse-env.ts';
import { parseEnvText } from './parse-env-text.ts';
import { encrypted, forbiddenKey, type ParseRules } from './parse-rules.ts';
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

type Variables = Readonly<Record<string, string>>;

async function parse(text: string, { format, naming, rules }: ParseRequest) {
  const isLong = text.length > inlineLimit;
  if (format === 'text') {
    if (isCiphertext(text)) throw encrypted(rules);
    return text.replace(/\r?\n$/, '');
  }
  if (format === 'env') {
    const variables = isLong ? await parseInWorker<Variables>(text, format, rules) : parseEnvText(text, rules);
    const names = Object.keys(variables);
    if (names.includes('sops_mac') || Object.values(variables).some(isCiphertext)) throw encrypted(rules);
    if (names.length === 0) return undefined;
    const settings = settingsOfEnv(variables, naming, rules.subject, rules.depth);
    checkTree(settings, rules);
    return settings;
  }
  const isHeavy = isLong || bracketDepth(text) > rules.depth;
  return isHeavy ? parseInWorker<JsonObject | undefined>(text, format, rules) : parseText(text, format, rules);
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

/** What the worker is to parse. */
export interface ParseTask {
  readonly text: string;
  readonly format: 'yaml' | 'json' | 'env';
  readonly rules: ParseRules;
}

export type ParseReply<Settings> =
  | { readonly settings: Settings }
  | { readonly code: DaemonErrorCode; readonly message: string; readonly facts: ErrorFacts };

const worker = workerFile('sources', 'parse-worker', import.meta);

async function parseInWorker<Settings>(
  text: string,
  format: ParseTask['format'],
  rules: ParseRules,
): Promise<Settings> {
  try {
    const reply = await runWorker<ParseReply<Settings>>(worker, { text, format, rules } satisfies ParseTask);
    if ('settings' in reply) return reply.settings;
    throw restore(reply);
  } catch (error) {
    throw error instanceof WorkerEnded ? tooMuchToParse(rules, error) : error;
  }
}

function tooMuchToParse({ subject }: ParseRules, { message, isLate }: WorkerEnded): DaemonError {
  const mend = 'split the file, or write it simpler';
  // A slow machine may be the reason, so that it is worth another try.
  const code = isLate ? { systemCode: 'ETIMEDOUT' } : {};
  return new DaemonError('source_too_large', `${message} to parse`, { subject, mend, ...code });
}

function restore({ code, message, facts }: Exclude<ParseReply<unknown>, { settings: unknown }>): DaemonError {
  const error = new DaemonError(code, '', facts);
  error.message = message;
  return error;
}
