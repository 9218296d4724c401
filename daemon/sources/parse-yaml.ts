import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type YAMLMap,
} from 'yaml';
import { forbiddenKeys, type JsonValue } from '../../schemas/json.ts';
import { DaemonError } from '../model/errors.ts';
import { describeYamlProblem } from '../ops/yaml-problems.ts';
import { forbiddenKey, type ParseRules, tooDeep, tooManyValues } from './parse-rules.ts';

/** A text with more is taken for a bomb, whatever they stand for. */
const maxAliases = 1_000;

/** YAML 1.2, with `<<` merging; `undefined` when there are only comments. Duplicate keys and unknown tags are refused. */
export function parseYamlText(text: string, rules: ParseRules): JsonValue | undefined {
  const lineCounter = new LineCounter();
  // The parser's own search for duplicate keys is quadratic; ours below is not.
  const options = {
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'error',
    stringKeys: true,
    // Without it `!!timestamp`, `!!set`, `!!omap` and `!!binary` would be things that JSON does not know.
    resolveKnownTags: false,
    merge: true,
    keepSourceTokens: true,
    lineCounter,
  } as const;
  const document = parseDocument(text, options);
  const [problem] = [...document.errors, ...document.warnings];
  if (problem) {
    // The parser's own way to say that it ran out of stack.
    if (problem.code === 'RESOURCE_EXHAUSTION') throw tooDeep(rules, []);
    const { line, col } = lineCounter.linePos(problem.pos[0]);
    throw new DaemonError('source_malformed', describeYamlProblem(problem.code), {
      subject: rules.subject,
      line,
      column: col,
    });
  }
  // Another version has other types: dates, binary, and `yes` for true.
  if (document.directives.yaml.version !== '1.2') {
    throw new DaemonError('source_malformed', 'asks for another YAML than 1.2', {
      subject: rules.subject,
      line: 1,
      mend: 'take the %YAML line out',
    });
  }
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) return undefined;
  checkNodes(document, rules, lineCounter);
  return toJson(document, rules);
}

/** Looks at every node, in the order of the text, and counts what each stands for. */
function checkNodes(document: Document.Parsed, rules: ParseRules, lines: LineCounter): void {
  // What is behind an anchor that is still open has no size yet.
  const sizes = new Map<string, number | 'open'>();
  let aliases = 0;
  const malformed = (node: Alias, what: string) => {
    const { line, col } = lines.linePos(node.range?.[0] ?? 0);
    return new DaemonError('source_malformed', what, { subject: rules.subject, line, column: col });
  };
  const sizeOfAlias = (alias: Alias): number => {
    if (++aliases > maxAliases) throw tooManyAliases(rules);
    const size = sizes.get(alias.source);
    if (size === undefined) throw malformed(alias, describeYamlProblem('BAD_ALIAS'));
    if (size === 'open') throw malformed(alias, 'an alias stands inside of what it names');
    return size;
  };
  const sizeOf = (node: unknown): number => {
    if (isAlias(node)) return sizeOfAlias(node);
    const anchor = isNode(node) ? node.anchor : undefined;
    if (anchor) sizes.set(anchor, 'open');
    const size = 1 + sizeOfContent(node);
    if (size > rules.values) throw tooManyValues(rules);
    if (anchor) sizes.set(anchor, size);
    return size;
  };
  const sizeOfContent = (node: unknown): number => {
    if (isMap(node)) checkMap(node, rules, lines);
    if (!isMap(node) && !isSeq(node)) return 0;
    let size = 0;
    for (const item of node.items) {
      size += sizeOf(isPair(item) ? (item.value ?? undefined) : item);
      if (size > rules.values) throw tooManyValues(rules);
    }
    return size;
  };
  sizeOf(document.contents);
}

function checkMap(map: YAMLMap, rules: ParseRules, lines: LineCounter): void {
  const seen = new Set<string>();
  for (const { key, value, srcToken } of map.items) {
    if (!isScalar(key)) continue;
    const name = String(key.value);
    const { line } = lines.linePos(key.range?.[0] ?? 0);
    // The parser drops a list below `? key` that has no `:` before it, and reports nothing.
    if (srcToken?.value && !value) {
      const facts = { subject: rules.subject, line, path: name, mend: 'write key: value' };
      throw new DaemonError('source_malformed', 'something follows this key without a colon', facts);
    }
    if (forbiddenKeys.has(name)) throw forbiddenKey(rules, name, line);
    if (seen.has(name) && name !== '<<') {
      const facts = { subject: rules.subject, line, path: name, mend: 'keep one of them' };
      throw new DaemonError('source_duplicate_key', 'this key is given twice in one mapping', facts);
    }
    seen.add(name);
  }
}

function toJson(document: Document, rules: ParseRules): JsonValue {
  try {
    // How much aliases stand for has been counted.
    return document.toJS({ maxAliasCount: -1 });
  } catch (error) {
    if (error instanceof RangeError) throw error;
    const mend = 'let << name a mapping, or a list of them';
    throw new DaemonError('source_malformed', 'what is merged by << is no mapping', { subject: rules.subject, mend });
  }
}

function tooManyAliases({ subject }: ParseRules): DaemonError {
  const mend = 'write the values out instead of aliasing aliases';
  return new DaemonError('source_too_many_aliases', `it has more than ${maxAliases} aliases`, { subject, mend });
}
