import { isObject, type JsonObject, type JsonValue } from '../../schemas/json.ts';
import { dataWords, mapWords } from './schema-references.ts';

const unbounded = String.raw`[*+]|\{\d*,\}`;
/** Of a regular expression: what is escaped, a class, a group's edge, or a quantifier. */
const tokens = new RegExp(String.raw`\\.|\[(?:\\.|[^\]\\])*\]|(\()|(\))|(${unbounded})`, 'gs');

/**
 * What in a schema may take long to check, with its place: the rules of ajv's `json-schema-secure` for `uniqueItems` and
 * patterns. Formats are not in it, for those that we use are linear.
 */
export function slowKeywords(root: JsonObject): readonly string[] {
  const found: string[] = [];
  const visit = (node: JsonValue, place: string): void => {
    if (Array.isArray(node)) for (const [i, item] of node.entries()) visit(item, `${place}/${i}`);
    if (!isObject(node)) return;
    for (const what of slowIn(node)) found.push(`${place}: ${what}`);
    for (const [word, value] of Object.entries(node))
      if (mapWords.has(word) && isObject(value))
        for (const [name, part] of Object.entries(value)) visit(part, `${place}/${word}/${name}`);
      else if (!dataWords.has(word)) visit(value, `${place}/${word}`);
  };
  visit(root, '#');
  return found;
}

function* slowIn({
  pattern,
  maxLength,
  patternProperties,
  uniqueItems,
  maxItems,
  items,
}: JsonObject): Generator<string> {
  if (typeof pattern === 'string') yield* slowPattern('pattern', pattern, maxLength !== undefined);
  if (isObject(patternProperties))
    for (const name of Object.keys(patternProperties)) yield* slowPattern('patternProperties', name, false);
  if (uniqueItems === true && maxItems === undefined && !isScalar(items))
    yield 'uniqueItems compares every item with every other one (add maxItems, or give the items a scalar type)';
}

function* slowPattern(word: string, pattern: string, isShort: boolean): Generator<string> {
  const { count, isNested } = quantifiers(pattern);
  if (isNested)
    yield `${word} may take exponential time: it repeats what is repeated (write it without (a+)+ or (a|b+)*)`;
  else if (count > 1 && !isShort && word === 'pattern')
    yield `${word} may take long with a long text: it repeats more than once without a bound (add maxLength)`;
}

/** How many there are without an upper bound, and whether one of them stands behind a group with another one in it. */
function quantifiers(pattern: string): { count: number; isNested: boolean } {
  const open: number[] = [];
  let count = 0;
  let closed: { readonly end: number; readonly isRepeating: boolean } | undefined;
  for (const { 1: opens, 2: closes, 3: quantifier, index } of pattern.matchAll(tokens)) {
    if (opens) open.push(count);
    if (quantifier && closed?.end === index && closed.isRepeating) return { count, isNested: true };
    if (closes) closed = { end: index + 1, isRepeating: count > (open.pop() ?? 0) };
    if (quantifier) count++;
  }
  return { count, isNested: false };
}

function isScalar(items: JsonValue | undefined): boolean {
  if (!isObject(items)) return false;
  const types = Array.isArray(items.type) ? items.type : [items.type];
  return types.every((type) => ['string', 'number', 'integer', 'boolean', 'null'].includes(String(type)));
}
