import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { ErrorObject, ValidateFunction } from 'ajv';
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument, type Scalar, visit } from 'yaml';
import { fromPointer } from '../../schemas/patch.ts';
import { formatPath, type Path } from '../../schemas/paths.ts';
import { DaemonError, systemCode } from '../model/errors.ts';
import { nearest } from '../model/nearest.ts';
import { type Options, resolveOptions } from './options.ts';
import { optionsExposure, requireOwnOptions } from './options-trust.ts';
import { compileOwn, readOwnSchema } from './own-schemas.ts';
import { describeYamlProblem } from './yaml-problems.ts';

/**
 * Where the options file is: `--config`, `HOTCONF_CONFIG`, then the usual places. Throws `options_missing`, and
 * `options_unusable` for one that was not named and is somebody else's.
 */
export function findOptionsFile(given: string | undefined, env: NodeJS.ProcessEnv, cwd = process.cwd()): string {
  const named = given ?? env.HOTCONF_CONFIG;
  if (named) return resolve(cwd, named);
  const usual = ['hotconf.yaml', 'config/hotconf.yaml', '/etc/hotconf/hotconf.yaml'].map((path) => resolve(cwd, path));
  const found = usual.find((path) => existsSync(path));
  if (found) requireOwnOptions(found);
  if (found) return found;
  throw new DaemonError('options_missing', `no options file; looked for ${usual.join(', ')}`, {
    mend: 'name one with --config',
  });
}

/** Checks documents against `options.schema.json`. Making one takes some 50 ms. */
export function createOptionsCheck(): ValidateFunction {
  return compileOwn(readOwnSchema('options'));
}

/**
 * Reads, expands and checks an options file. Each problem names the file, the line, the path and the mend. One that others
 * may write is refused outside development.
 */
export function loadOptions(file: string, env: NodeJS.ProcessEnv, validate = createOptionsCheck()): Options {
  const lines = new LineCounter();
  const document = parsed(file, lines);
  const [problem] = document.errors;
  if (problem) {
    const { line, col } = lines.linePos(problem.pos[0]);
    throw new DaemonError('options_malformed', describeYamlProblem(problem.code), { subject: file, line, column: col });
  }
  expandVariables(document, env, (node, name) => {
    const { line } = lines.linePos(node.range?.[0] ?? 0);
    const mend = `set it, or write \${${name}:-default}`;
    throw new DaemonError('options_invalid', `the environment has no ${name}`, { subject: file, line, mend });
  });
  const content = contentOf(document, file);
  if (!validate(content)) throw invalid(file, document, lines, validate);
  const options = resolveOptions(file, content, env);
  const exposure = options.profile === 'development' ? undefined : optionsExposure(file);
  if (!exposure) return options;
  throw new DaemonError('options_unusable', exposure.what, { subject: file, mend: exposure.mend });
}

function parsed(file: string, lineCounter: LineCounter): Document.Parsed {
  const text = readText(file);
  try {
    return parseDocument(text, { lineCounter, prettyErrors: false, logLevel: 'error', stringKeys: true });
  } catch (error) {
    // The parser ran out of stack.
    if (!(error instanceof RangeError)) throw error;
    throw new DaemonError('options_malformed', 'is nested too deeply', { subject: file });
  }
}

function contentOf(document: Document, file: string): unknown {
  try {
    return document.toJS();
  } catch {
    // The parser resolves aliases only now, and its message quotes their names.
    const what = 'an alias names an anchor that is not there, or aliases stand for too much';
    throw new DaemonError('options_malformed', what, { subject: file });
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') {
      throw new DaemonError('options_missing', 'no such file', {
        subject: file,
        mend: 'name an options file with --config',
      });
    }
    throw new DaemonError('not_permitted', `cannot be read: ${systemCode(error)}`, {
      subject: file,
      mend: 'make it a readable file',
    });
  }
}

type Missing = (node: Scalar, name: string) => never;

/** `${NAME}` and `${NAME:-default}` in every text value. */
function expandVariables(document: Document, env: NodeJS.ProcessEnv, missing: Missing): void {
  visit(document, {
    Scalar(key, node) {
      if (key === 'key' || typeof node.value !== 'string' || !node.value.includes('${')) return;
      const text = node.value.replace(/\$\{(\w+)(?::-([^}]*))?\}/g, (_, name: string, fallback?: string) => {
        return (env[name] || fallback) ?? missing(node, name);
      });
      // A value that was not quoted means what it would have meant, had it stood there.
      node.value = node.type === 'PLAIN' ? plainScalar(text) : text;
    },
  });
}

function plainScalar(text: string): string | number | boolean {
  if (/^-?\d+$/.test(text)) return Number(text);
  return text === 'true' ? true : text === 'false' ? false : text;
}

function invalid(file: string, document: Document, lines: LineCounter, validate: ValidateFunction): DaemonError {
  // `if` only says that its `then` failed, which has its own entry.
  const errors = validate.errors!.filter((error) => error.keyword !== 'if');
  const problems = errors.map((error) => describe(error, validate.schema, document, lines));
  const shown = problems.map(({ path, line, what }) => ({
    path,
    keyword: 'options',
    message: `line ${line}: ${what}`,
  }));
  const [first] = problems;
  return new DaemonError('options_invalid', first!.what, {
    subject: file,
    line: first!.line,
    path: first!.path,
    issues: shown,
  });
}

function describe(error: ErrorObject, schema: unknown, document: Document, lines: LineCounter) {
  const parent = fromPointer(error.instancePath) ?? [];
  const unknown = error.keyword === 'additionalProperties' ? String(error.params.additionalProperty) : undefined;
  const path = unknown === undefined ? parent : [...parent, unknown];
  const line = lines.linePos(offsetOf(document, path)).line;
  if (unknown === undefined) return { path: formatPath(path), line, what: explain(error) };
  const known = Object.keys(
    (error.parentSchema as { properties?: object } | undefined)?.properties ?? propertiesAt(schema, error.schemaPath),
  );
  const near = nearest(unknown, known);
  const what = `unknown key '${unknown}'${near ? `; did you mean '${near}'?` : `; known here: ${known.join(', ')}`}`;
  return { path: formatPath(parent), line, what };
}

function explain(error: ErrorObject): string {
  if (error.keyword === 'enum') return `must be one of ${error.params.allowedValues.join(', ')}`;
  if (error.schemaPath.includes('/$defs/duration/')) return 'must be a duration like 250ms, 10s, 5m or 1h';
  if (error.schemaPath.includes('/$defs/size/')) return 'must be a size like 64KiB or 16MiB';
  // One path may stand there without a list.
  if (error.params.type === 'array' && /^\/sources\/(files|defaults)$/.test(error.instancePath))
    return `must be a path or a list, each entry after a '-'`;
  return error.message ?? error.keyword;
}

function propertiesAt(schema: unknown, schemaPath: string): object {
  const path = fromPointer(decodeURIComponent(schemaPath.replace(/^#/, '')))!.slice(0, -1);
  const node = path.reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], schema);
  return (node as { properties?: object } | undefined)?.properties ?? {};
}

/** Where the key of a path, or else what holds it, stands in the file. */
function offsetOf(document: Document, path: Path): number {
  for (let length = path.length; length > 0; length--) {
    const holder = document.getIn(path.slice(0, length - 1), true);
    if (isMap(holder)) {
      const pair = holder.items.find(({ key }) => (isScalar(key) ? String(key.value) : key) === path[length - 1]);
      if (pair && isNode(pair.key)) return pair.key.range?.[0] ?? 0;
    }
    const node = document.getIn(path.slice(0, length), true);
    if (isNode(node)) return node.range?.[0] ?? 0;
  }
  return isNode(document.contents) ? (document.contents.range?.[0] ?? 0) : 0;
}
