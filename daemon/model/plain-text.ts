/**
 * Words of others on one line: what could move a terminal's cursor, forge a line or turn the direction of writing is shown
 * as `?`.
 */
export function plainText(text: string): string {
  return text.replace(/[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g, '?');
}
