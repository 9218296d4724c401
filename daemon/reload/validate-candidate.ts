import type { ErrorObject } from 'ajv';
import type { Issue } from '../../schemas/errors.ts';
import type { JsonObject } from '../../schemas/json.ts';
import { fromPointer } from '../../schemas/patch.ts';
import { formatPath, type Path, parsePath } from '../../schemas/paths.ts';
import type { AppSchema } from '../model/app-schema.ts';
import { DaemonError } from '../model/errors.ts';
import { nearest } from '../model/nearest.ts';
import { winningPart } from '../model/secrecy.ts';
import type { Candidate } from '../model/snapshot.ts';

/**
 * Returns the issues of settings; none when they are valid. Never mentions a value. Throws `validation_too_slow` where it may
 * take long and takes longer than `ms`, by default 100.
 */
export type Validate = (settings: JsonObject, ms?: number) => readonly Issue[];

/** Throws `settings_invalid` where there are issues, with all of them and the part that gave the first one's value. */
export function assertValid({ parts }: Candidate, issues: readonly Issue[]): void {
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

/** An error of the validator, in words that hold no value. */
export function issueOf(error: ErrorObject, schema: AppSchema): Issue {
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
