import { readFileSync } from 'node:fs';
import type { ErrorObject } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { fullFormats } from 'ajv-formats/dist/formats.js';
import type { Issue } from '../../schemas/errors.ts';
import type { JsonObject } from '../../schemas/json.ts';
import { fromPointer } from '../../schemas/patch.ts';
import { formatPath, type Path, parsePath } from '../../schemas/paths.ts';
import { AppSchema } from '../model/app-schema.ts';
import { DaemonError, systemCode } from '../model/errors.ts';
import { nearest } from '../model/nearest.ts';
import { winningPart } from '../model/secrecy.ts';
import type { Candidate } from '../model/snapshot.ts';
import { decodeText } from '../sources/decode-text.ts';
import { parseText } from '../sources/parse-text.ts';

/** Issues told of one candidate; more help nobody. */
const maxIssues = 50;

/** Returns what is wrong with settings; nothing when they are valid. Never mentions a value. */
export type Validate = (settings: JsonObject) => readonly Issue[];

/**
 * Reads and compiles the application's schema, once. Throws `schema_missing`, `schema_malformed`, `schema_invalid`.
 */
export function loadAppSchema(file: string): { schema: AppSchema; validate: Validate } {
  const text = decodeText(readSchema(file), file);
  const root =
    parseText(text, file.endsWith('.json') ? 'json' : 'yaml', { subject: file, depth: 256, keys: 1_000_000 }) ?? {};
  const schema = new AppSchema(root);
  const check = compile(root, file);
  const validate: Validate = (settings) => {
    if (check(settings)) return [];
    return check
      .errors!.filter(({ keyword }) => keyword !== 'if')
      .slice(0, maxIssues)
      .map((error) => describe(error, schema));
  };
  return { schema, validate };
}

/** Throws `settings_invalid` with every issue, and the part that gave the first one's value. */
export function validateCandidate(validate: Validate, { settings, parts }: Candidate): void {
  const issues = validate(settings);
  const [first] = issues;
  if (!first) return;
  const more = issues.length > 1 ? `, and ${issues.length - 1} more` : '';
  const giver = winningPart(parts, parsePath(first.path) ?? []);
  const facts = { path: first.path || 'settings', issues, mend: 'correct it there, or change the schema' };
  throw new DaemonError('settings_invalid', first.message + more, {
    ...facts,
    ...(giver && first.path && { subject: giver.name + (giver.version ? ` version ${giver.version}` : '') }),
  });
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

function compile(root: JsonObject, subject: string) {
  const dialect = root.$schema;
  if (dialect !== undefined && !String(dialect).startsWith('https://json-schema.org/draft/2020-12/schema')) {
    throw new DaemonError('schema_invalid', 'its $schema is another dialect than draft 2020-12', {
      subject,
      mend: 'use https://json-schema.org/draft/2020-12/schema',
    });
  }
  const ajv = new Ajv2020({ strict: false, verbose: false, allErrors: true, logger: false, formats: fullFormats });
  try {
    checkAgainstMeta(root, subject);
    return ajv.compile(root);
  } catch (error) {
    if (error instanceof DaemonError) throw error;
    throw new DaemonError('schema_invalid', `the schema does not compile: ${(error as Error).message}`, {
      subject,
      mend: 'correct the schema',
    });
  }
}

/** With an ajv of its own, which is forgotten afterwards: the meta-schema is needed once and takes megabytes. */
function checkAgainstMeta(root: JsonObject, subject: string): void {
  const ajv = new Ajv2020({ strict: false, allErrors: true, logger: false });
  if (!ajv.validateSchema(root)) throw invalidSchema(subject, ajv.errors ?? []);
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

function describe(error: ErrorObject, schema: AppSchema): Issue {
  const path = fromPointer(error.instancePath) ?? [];
  return { path: formatPath(pathOf(error, path)), keyword: error.keyword, message: messageOf(error, path, schema) };
}

function pathOf({ keyword, params }: ErrorObject, path: Path): Path {
  return keyword === 'required' ? [...path, String(params.missingProperty)] : path;
}

function messageOf(error: ErrorObject, path: Path, schema: AppSchema): string {
  if (error.keyword === 'required') return 'is required and missing';
  if (error.keyword !== 'additionalProperties' && error.keyword !== 'unevaluatedProperties')
    return error.message ?? error.keyword;
  const name = String(error.params.additionalProperty ?? error.params.unevaluatedProperty);
  const near = nearest(name, schema.knownKeys(path));
  return `has a key that the schema does not know${tellable(name) ? `: '${name}'` : ''}${near ? `; did you mean '${near}'?` : ''}`;
}

/** A key that reads like a name. What might be a secret in the wrong place, with digits or very long, is not told. */
function tellable(name: string): boolean {
  return /^[A-Za-z][A-Za-z_-]{0,31}$/.test(name);
}
