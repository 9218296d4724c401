import { forbiddenKeys, isObject, type JsonObject, type JsonValue } from '../../schemas/json.ts';
import { formatPath, type Path } from '../../schemas/paths.ts';
import { DaemonError } from '../model/errors.ts';
import { parseJsonText } from './parse-json.ts';
import {
  encrypted,
  forbiddenKey,
  maxPathCharacters,
  type ParseRules,
  tooDeep,
  tooLongPaths,
  tooManyKeys,
  tooManyValues,
} from './parse-rules.ts';
import { parseYamlText } from './parse-yaml.ts';

/**
 * A YAML or JSON document as settings; `undefined` when it holds nothing but comments. Throws `source_malformed` and
 * the other codes about content, with the line where it is known and never with a word of the document.
 */
export function parseText(text: string, format: 'yaml' | 'json', rules: ParseRules): JsonObject | undefined {
  const value = inDepth(rules, () => (format === 'json' ? parseJsonText(text, rules) : parseYamlText(text, rules)));
  if (value === undefined) return undefined;
  if (!isObject(value)) {
    throw new DaemonError('source_malformed', 'is not a mapping of keys to values', {
      subject: rules.subject,
      mend: 'write key: value at the top level',
    });
  }
  checkTree(value, rules);
  return value;
}

/** A parser that runs out of stack has met a document that is far too deep. */
function inDepth<T>(rules: ParseRules, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof RangeError) throw tooDeep(rules, []);
    throw error;
  }
}

/** Throws where settings are beyond the limits, encrypted, or hold what is refused in every format. */
export function checkTree(root: JsonValue, rules: ParseRules): void {
  let keys = 0;
  let values = 0;
  let characters = 0;
  if (isSopsMark((root as JsonObject).sops)) throw encrypted(rules);
  const visit = (value: JsonValue, path: Path, length: number): void => {
    if (path.length > rules.depth) throw tooDeep(rules, path);
    if (++values > rules.values) throw tooManyValues(rules);
    characters += length;
    if (characters > maxPathCharacters) throw tooLongPaths(rules);
    if (typeof value === 'number') checkNumber(value, rules, path);
    if (isCiphertext(value)) throw encrypted(rules);
    if (Array.isArray(value)) for (const [i, item] of value.entries()) visit(item, [...path, String(i)], length + 1);
    if (!isObject(value)) return;
    for (const key of Object.keys(value)) {
      if (++keys > rules.keys) throw tooManyKeys(rules);
      if (forbiddenKeys.has(key)) throw forbiddenKey(rules, formatPath([...path, key]));
      visit(value[key]!, [...path, key], length + 1 + key.length);
    }
  };
  visit(root, [], 0);
}

/** What SOPS writes beside what it has encrypted: https://getsops.io/docs/#sops-file-format. */
function isSopsMark(value: JsonValue | undefined): boolean {
  return isObject(value) && (typeof value.mac === 'string' || typeof value.lastmodified === 'string');
}

/** A value as SOPS encrypts it. */
export function isCiphertext(value: JsonValue | undefined): boolean {
  return typeof value === 'string' && value.startsWith('ENC[AES256_GCM,');
}

function checkNumber(value: number, { subject }: ParseRules, path: Path): void {
  if (Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value))) return;
  throw new DaemonError('source_malformed', 'is a number that cannot be kept exactly', {
    subject,
    path: formatPath(path),
    mend: 'quote it',
  });
}
