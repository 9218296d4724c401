import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { DaemonError } from '../../../daemon/model/errors.ts';
import type { Format } from '../../../daemon/model/format.ts';
import { decodeText } from '../../../daemon/sources/decode-text.ts';
import { parseText } from '../../../daemon/sources/parse-text.ts';
import { type ParseRequest, parseBytes } from '../../../daemon/sources/parser.ts';
import { daemonErrors } from '../../../schemas/errors.ts';
import { deepFreeze, forbiddenKeys, isObject, type JsonValue } from '../../../schemas/json.ts';
import { settings } from '../../support/arbitrary.ts';
import { must, planted } from '../face.ts';

/** As the options' defaults are, but for the keys, so that inputs can reach the limits. */
export const rules = { subject: '/etc/f', depth: 64, keys: 2_000, values: 10_000 };

/** Parses bytes as a source does; `undefined` where they are refused as they should be. */
export async function parsed(input: Buffer, format: Format, more: Partial<ParseRequest> = {}) {
  try {
    if (format !== 'env' && isHeavy(input)) return parsedHere(input, format as 'yaml' | 'json');
    return await parseBytes(input, { format, at: [], naming: {}, rules, ...more });
  } catch (error) {
    expectKnown(error, /^source_/);
    return undefined;
  }
}

/** A source gives it to a worker, whose start takes as long as hundreds of inputs: one in 64 goes there, by its length. */
function isHeavy(input: Buffer): boolean {
  return (
    input.length % 64 > 0 &&
    (input.length > 32 * 1024 || (input.toString('latin1').match(/[[{]/g)?.length ?? 0) > rules.depth)
  );
}

function parsedHere(input: Buffer, format: 'yaml' | 'json') {
  const value = parseText(decodeText(input, rules.subject), format, rules);
  return value === undefined ? 'nothing' : deepFreeze(value);
}

/** It is a foreseen error, by its code, and quotes nothing but names. */
export function expectKnown(error: unknown, codes: RegExp): asserts error is DaemonError {
  if (!(error instanceof DaemonError)) throw error;
  must(error.code in daemonErrors && codes.test(error.code), `it is refused with the code ${error.code}`);
  const { path = '', cause } = error.facts;
  // A key is named, in a path or as what it is not.
  const said = error.message.replaceAll(path || '\0', '').replace(/unknown key '.*?'; /s, '');
  must(!`${said} ${cause ?? ''}`.includes(planted), `an error quotes the document: ${error.code}`);
}

/** What was read is as JSON is, and within the limits. */
export function expectSettings(value: JsonValue | 'nothing'): void {
  let values = 0;
  const visit = (node: JsonValue, depth: number): void => {
    must(++values <= rules.values && depth <= rules.depth, 'settings are beyond the limits');
    if (typeof node === 'number')
      must(Number.isFinite(node) && (!Number.isInteger(node) || Number.isSafeInteger(node)), 'a number is not exact');
    if (typeof node !== 'object' || node === null) return;
    must(Object.isFrozen(node), 'settings are not frozen');
    must(Array.isArray(node) || Object.getPrototypeOf(node) === Object.prototype, 'settings are not plain');
    for (const key of Object.keys(node)) must(!forbiddenKeys.has(key), 'settings hold a forbidden key');
    for (const inner of Object.values(node)) visit(inner as JsonValue, depth + 1);
  };
  if (value === 'nothing') return;
  must(isObject(value), 'settings are no object');
  visit(value, 0);
  must(isEqual(JSON.parse(JSON.stringify(value)), value), 'settings are no JSON');
}

/** Equal but for the sign of 0, which JSON cannot write. */
export function isEqual(one: unknown, other: unknown): boolean {
  return isDeepStrictEqual(withoutSign(one), withoutSign(other));
}

function withoutSign(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

/** Trees of settings, always the same. */
export const trees = fc.sample(settings, { seed: 1, numRuns: 30 });
