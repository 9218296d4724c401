import { readFileSync } from 'node:fs';
import { Ajv, type Options as AjvOptions, type ErrorObject } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { fullFormats } from 'ajv-formats/dist/formats.js';
import { isObject, type JsonObject, type JsonValue } from '../../schemas/json.ts';
import { fromPointer } from '../../schemas/patch.ts';
import { formatPath } from '../../schemas/paths.ts';
import { AppSchema } from '../model/app-schema.ts';
import { DaemonError, systemCode } from '../model/errors.ts';
import { slowKeywords } from '../model/slow-keywords.ts';
import { within } from '../ops/within.ts';
import { decodeText } from '../sources/decode-text.ts';
import { parseText } from '../sources/parse-text.ts';
import { checkWithin, type ValidateElsewhere, validateInWorker } from './bounded-validation.ts';
import { issueOf, type Validate } from './validate-candidate.ts';

/** Issues told of one candidate; more help nobody. */
const maxIssues = 50;
/** In a larger candidate, or when it takes longer, only the first issue is told. */
const maxValuesForAll = 20_000;
const msForAll = 50;
/** What draft 2020-12 and draft-07 are called. */
const newer = /^https?:\/\/json-schema\.org\/draft\/2020-12\/schema#?$/;
const older = /^https?:\/\/json-schema\.org\/draft-07\/schema#?$/;
/** Our own keyword, beside those of JSON Schema. */
const ownKeyword = 'x-secret';
const schemaRules = { depth: 256, keys: 1_000_000, values: 1_000_000 };

// The pattern of `url` there takes exponential time; the URL Standard's own parser does not.
const formats = { ...fullFormats, url: (text: string) => URL.canParse(text) };
const plain: AjvOptions = { strict: false, verbose: false, logger: false, formats };

/** An application's schema: what it says of a path, whether settings are valid, and what in it is likely a mistake. */
export interface LoadedSchema {
  readonly schema: AppSchema;
  readonly validate: Validate;
  readonly validateElsewhere: ValidateElsewhere;
  /** Of keywords that do not exist, mostly misspelt ones, and of those that may take long to check. */
  readonly doubts: readonly string[];
}

/**
 * Reads and compiles the application's schema, once: JSON Schema draft 2020-12, or draft-07 where `$schema` says so.
 * Throws `schema_missing`, `schema_malformed`, `schema_invalid`.
 */
export function loadAppSchema(file: string): LoadedSchema {
  const text = decodeText(readSchema(file), file);
  const root = parseText(text, file.endsWith('.json') ? 'json' : 'yaml', { subject: file, ...schemaRules }) ?? {};
  const create = dialectOf(root, file);
  refuseAsync(root, file);
  checkAgainstMeta(create, root, file);
  const slow = slowKeywords(root);
  const { schema, validate } = compileAppSchema(root, file, slow.length > 0);
  const unfollowed = schema.unfollowed.map(
    (ref) => `$ref ${ref} leads out of this file: what it refers to counts as secret`,
  );
  const doubts = [...doubtsAbout(create, root), ...unfollowed, ...slow];
  const elsewhere = (settings: JsonObject) => validateInWorker({ root, file, settings });
  return { schema, validate, validateElsewhere: elsewhere, doubts };
}

/** Compiles a checked schema. Its `validate` is stopped in time where it may be slow, and takes as long as it takes otherwise. */
export function compileAppSchema(
  root: JsonObject,
  file: string,
  isSlow: boolean,
): Pick<LoadedSchema, 'schema' | 'validate'> {
  const create = dialectOf(root, file);
  const schema = new AppSchema(root);
  const check = compile(create({ ...plain, allErrors: false }), root, file);
  let checkAll: typeof check | undefined;
  const validate: Validate = (settings, ms) => {
    if (isSlow ? checkWithin(() => check(settings), ms) : check(settings)) return [];
    const all = () => {
      checkAll!(settings);
      return checkAll!.errors;
    };
    checkAll ??= compile(create({ ...plain, allErrors: true }), root, file);
    // All issues are looked for only where there are any, and not where there may be hundreds of thousands.
    const found = hasMoreValuesThan(maxValuesForAll, settings) ? undefined : within(msForAll, all);
    const errors = (found === 'late' ? undefined : found) ?? check.errors ?? [];
    return errors
      .filter(({ keyword }) => keyword !== 'if')
      .slice(0, maxIssues)
      .map((error) => issueOf(error, schema));
  };
  return { schema, validate };
}

function hasMoreValuesThan(most: number, root: JsonValue): boolean {
  let left = most;
  const visit = (value: JsonValue): boolean =>
    --left < 0 || (typeof value === 'object' && value !== null && Object.values(value).some(visit));
  return visit(root);
}

type Create = (options: AjvOptions) => Ajv;

function dialectOf({ $schema: dialect }: JsonObject, subject: string): Create {
  if (dialect === undefined || newer.test(String(dialect))) return (options) => new Ajv2020(options) as unknown as Ajv;
  if (older.test(String(dialect))) return (options) => new Ajv(options);
  throw new DaemonError('schema_invalid', 'its $schema is neither draft 2020-12 nor draft-07', {
    subject,
    mend: 'use https://json-schema.org/draft/2020-12/schema',
  });
}

/** A schema that answers later would have everything pass. */
function refuseAsync(node: JsonValue, subject: string): void {
  if (Array.isArray(node)) for (const item of node) refuseAsync(item, subject);
  if (!isObject(node)) return;
  if (node.$async === true)
    throw new DaemonError('schema_invalid', '$async is not possible here', { subject, mend: 'take it out' });
  for (const key in node) refuseAsync(node[key]!, subject);
}

function readSchema(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new DaemonError('schema_missing', `the schema cannot be read: ${systemCode(error)}`, {
      subject: file,
      mend: 'set `schema` in the options to a JSON Schema file',
    });
  }
}

function compile(ajv: Ajv, root: JsonObject, subject: string) {
  try {
    return ajv.compile(root);
  } catch (error) {
    throw new DaemonError('schema_invalid', `the schema does not compile: ${(error as Error).message}`, {
      subject,
      mend: 'correct the schema',
    });
  }
}

/** With an ajv of its own, which is forgotten afterwards: the meta-schema is needed once and takes megabytes. */
function checkAgainstMeta(create: Create, root: JsonObject, subject: string): void {
  const ajv = create({ strict: false, allErrors: true, logger: false });
  if (!ajv.validateSchema(root)) throw invalidSchema(subject, ajv.errors ?? []);
}

/** What ajv's strict mode would refuse: keywords that are none. */
function doubtsAbout(create: Create, root: JsonObject): readonly string[] {
  const doubts: string[] = [];
  const logger = {
    log() {},
    warn: (text: string) => void doubts.push(text),
    error: (text: string) => void doubts.push(text),
  };
  const rules = { strictTypes: false, strictTuples: false, strictRequired: false } as const;
  const ajv = create({ ...plain, ...rules, strictSchema: 'log', logger });
  ajv.addKeyword(ownKeyword);
  ajv.compile(root);
  const known = (text: string) => text.replace(/^strict mode: /, '');
  return [...new Set(doubts.filter((text) => /unknown keyword/.test(text)).map(known))];
}

function invalidSchema(subject: string, errors: readonly ErrorObject[]): DaemonError {
  const issues = errors.map(({ instancePath, keyword, message = keyword }) => ({
    path: formatPath(fromPointer(instancePath) ?? []),
    keyword,
    message,
  }));
  return new DaemonError('schema_invalid', `the schema is not valid: ${issues[0]?.message}`, {
    subject,
    path: issues[0]?.path ?? '',
    issues,
  });
}
