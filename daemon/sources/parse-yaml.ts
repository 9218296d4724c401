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
import { forbiddenKey, type ParseRules, tooDeep } from './parse-rules.ts';

/** How much more aliases may stand for than what is written, before it is taken for a bomb; and how many there may be. */
const maxAliasCount = 100;
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
    merge: true,
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

function checkNodes(document: Document.Parsed, rules: ParseRules, lines: LineCounter): void {
  const anchors = new Set<string>();
  const aliases: Alias[] = [];
  const waiting: unknown[] = [document.contents];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (isAlias(node)) aliases.push(node);
    else if (isNode(node) && node.anchor) anchors.add(node.anchor);
    if (isMap(node)) {
      checkMap(node, rules, lines);
      for (const pair of node.items) waiting.push(pair.value ?? undefined);
    } else if (isSeq(node)) for (const item of node.items) waiting.push(isPair(item) ? item.value : item);
  }
  if (aliases.length > maxAliases) throw tooManyAliases(rules);
  const unknown = aliases.find(({ source }) => !anchors.has(source));
  if (unknown === undefined) return;
  const { line, col } = lines.linePos(unknown.range?.[0] ?? 0);
  const facts = { subject: rules.subject, line, column: col };
  throw new DaemonError('source_malformed', describeYamlProblem('BAD_ALIAS'), facts);
}

function checkMap(map: YAMLMap, rules: ParseRules, lines: LineCounter): void {
  const seen = new Set<string>();
  for (const { key } of map.items) {
    if (!isScalar(key)) continue;
    const name = String(key.value);
    const { line } = lines.linePos(key.range?.[0] ?? 0);
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
    return document.toJS({ maxAliasCount });
  } catch (error) {
    throw error instanceof RangeError ? error : tooManyAliases(rules);
  }
}

function tooManyAliases({ subject }: ParseRules): DaemonError {
  const what = `it has more than ${maxAliases} aliases, or they stand for more than ${maxAliasCount} times what is written`;
  return new DaemonError('source_too_many_aliases', what, {
    subject,
    mend: 'write the values out instead of aliasing aliases',
  });
}
