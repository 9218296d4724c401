import { isObject, type JsonValue } from './json.ts';

/** A number with fewer digits is too common in ordinary text to be a secret. */
const minSecretDigits = 8;
/** A text longer than this is not looked into for JSON. */
const maxJson = 64 * 1024;
/** Names whose value is secret whatever it looks like. */
const secretNames = /pass|pwd|token|key|secret|auth|credential|sig/i;
/** A value such as `require` or `read-only`: an ordinary word that occurs in most messages. */
const word = /^[a-z-]{1,15}$/;

/** A leaf of settings as text that may be secret; `undefined` for one that cannot be, such as a short number. */
export function secretTextOf(value: JsonValue): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value !== 'number') return undefined;
  const text = String(value);
  return text.replace(/\D/g, '').length < minSecretDigits ? undefined : text;
}

/** Every text and number in a tree that may be secret. */
export function* secretTextsIn(value: JsonValue): Generator<string> {
  const text = secretTextOf(value);
  if (text !== undefined) yield text;
  else if (Array.isArray(value) || isObject(value))
    for (const inner of Object.values(value)) yield* secretTextsIn(inner);
}

/**
 * A secret and what is secret inside of it: of a URL the user information, its password, and its user where that is no plain word; of a URL or connection string the values
 * (as they are, and percent-decoded), of JSON every text and number.
 */
export function partsOfSecret(text: string): Iterable<string> {
  if (!/[=%{[]|:\/\//.test(text)) return [text];
  const parts = new Set([text]);
  if (text.includes('://')) addUserInfo(text, parts);
  if (text.includes('=')) addValues(text, parts);
  if (text.includes('%')) for (const part of [...parts]) if (part !== text) parts.add(percentDecoded(part));
  for (const inner of jsonIn(text) ?? []) for (const part of partsOfSecret(inner)) parts.add(part);
  return parts;
}

/**
 * The stretches of a secret of which no run may be shown. All of it; but neither scheme nor host of a URL, without which no
 * message about a connection would say anything, nor the names of values in JSON, URLs and connection strings: they are
 * words such as `password`.
 */
export function confidentialStretches(text: string): readonly string[] {
  const [start, authority = ''] = /^[a-z][a-z\d+.-]*:\/\/([^/?#]*)/i.exec(text) ?? [];
  if (start !== undefined)
    return [authority.slice(0, Math.max(authority.lastIndexOf('@'), 0)), ...withoutNames(text.slice(start.length))];
  return jsonIn(text) ?? withoutNames(text);
}

function withoutNames(text: string): readonly string[] {
  return text.includes('=') ? text.split(/(?<=^|[?&;,\s])[\w.-]{1,40}[ \t]*=(?=[^=\s])/) : [text];
}

function addUserInfo(text: string, parts: Set<string>): void {
  for (const [, rest = ''] of text.matchAll(/[a-z][a-z\d+.-]*:\/\/(\S*)/gi)) {
    const [authority = ''] = /^[^/?#]*/.exec(rest) ?? [];
    // Many put a password there as it is, with a slash or a question mark in it.
    const userInfo = (authority.includes('@') ? authority : rest).replace(/(^|@)[^@]*$/, '');
    if (userInfo === '') continue;
    const colon = userInfo.indexOf(':');
    parts.add(userInfo).add(userInfo.slice(colon + 1));
    const user = userInfo.slice(0, Math.max(colon, 0));
    // Some services take a token there; `billing` is a name that many messages hold.
    if (authority.includes('@') && !word.test(user)) parts.add(user);
  }
}

function addValues(text: string, parts: Set<string>): void {
  for (const [, name = '', single, double, bare = ''] of text.matchAll(
    /([\w.-]+)[ \t]*=[ \t]*(?:'([^']*)'|"([^"]*)"|([^&;,\s#'"]+))/g,
  )) {
    const value = single ?? double ?? bare;
    if (secretNames.test(name) || !word.test(value)) parts.add(value);
  }
}

/** The texts and numbers in a text that is JSON; `undefined` for any other. */
function jsonIn(text: string): readonly string[] | undefined {
  if (text.length > maxJson || !/^\s*[{[]/.test(text)) return undefined;
  try {
    return [...secretTextsIn(JSON.parse(text))];
  } catch {
    return undefined;
  }
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
