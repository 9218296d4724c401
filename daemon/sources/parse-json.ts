import type { JsonValue } from '../../schemas/json.ts';
import { DaemonError } from '../model/errors.ts';
import type { ParseRules } from './parse-rules.ts';
import { parseYamlText } from './parse-yaml.ts';

/** JSON, with duplicate keys refused; `undefined` when there is only white space. */
export function parseJsonText(text: string, rules: ParseRules): JsonValue | undefined {
  if (text.trim() === '') return undefined;
  let value: JsonValue;
  let kept = 0;
  try {
    value = JSON.parse(text, (_, inner) => {
      if (typeof inner === 'object' && inner !== null && !Array.isArray(inner)) kept += Object.keys(inner).length;
      return inner;
    });
  } catch (error) {
    if (error instanceof RangeError) throw error;
    throw malformed(error, rules.subject);
  }
  // JSON.parse keeps the last of two equal keys without a word. It has dropped some when it kept fewer than were
  // written; then the YAML parser, of whose language JSON is a part, finds where.
  if (writtenKeys(text) !== kept) parseYamlText(text, rules);
  return value;
}

function writtenKeys(text: string): number {
  let count = 0;
  for (const match of text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g)) if (match[1] !== undefined) count++;
  return count;
}

function malformed(error: unknown, subject: string): DaemonError {
  // The message quotes the document; only the numbers of the place are taken from it.
  const place = /line (\d+) column (\d+)/.exec(String(error));
  const facts = { subject, ...(place && { line: Number(place[1]), column: Number(place[2]) }) };
  return new DaemonError('source_malformed', 'is not valid JSON', {
    ...facts,
    mend: 'look for a missing comma, quote or bracket',
  });
}
