import { isObject } from '../schemas/json.ts';
import { protocolVersion } from '../schemas/wire.ts';
import { maxDurationMs } from '../schemas/wire-limits.ts';

type Fields = Readonly<Record<string, unknown>>;

const isText = (value: unknown) => typeof value === 'string';
/** A text that the client sends back: the daemon refuses a longer one. */
const isName = (value: unknown) => isText(value) && (value as string).length <= 64;
const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
const isAtMost = (most: number) => (value: unknown) => typeof value === 'number' && value >= 0 && value <= most;
const isDuration = isAtMost(maxDurationMs);
const isSize = isAtMost(Number.MAX_SAFE_INTEGER);
const isOptional = (is: (value: unknown) => boolean, value: unknown) => value === undefined || is(value);

/** For each event, a check of the fields that the client uses against `wire.schema.json`. */
const checks: Readonly<Record<string, (fields: Fields) => boolean>> = {
  welcome: isWelcome,
  snapshot: isSnapshot,
  patch: isPatch,
  verify: (fields) => ('settings' in fields ? isSnapshot(fields) : isPatch(fields)),
  ping: ({ revision }) => isCount(revision),
  response: ({ id, ok, code, message, retryAfterMs }) =>
    isText(id) &&
    typeof ok === 'boolean' &&
    isOptional(isText, code) &&
    isOptional(isText, message) &&
    isOptional(isDuration, retryAfterMs),
  goodbye: ({ retryAfterMs }) => isOptional(isDuration, retryAfterMs),
  error: ({ code, message, fatal, retryAfterMs }) =>
    isText(code) && isText(message) && typeof fatal === 'boolean' && isOptional(isDuration, retryAfterMs),
};

/** Whether the client can use a frame from the daemon. True for events that this library does not know: it ignores them. */
export function isUsable(type: string, data: unknown): boolean {
  const check = Object.hasOwn(checks, type) ? checks[type] : undefined;
  return !check || (isObject(data) && check(data));
}

function isWelcome({ protocol, resume, limits }: Fields): boolean {
  // Another protocol may have other fields. The link refuses it because of its number.
  if (isCount(protocol) && protocol !== protocolVersion) return true;
  if (protocol !== protocolVersion || !isObject(limits)) return false;
  return (resume === 'same' || resume === 'full') && isSize(limits.outboundFrame) && isDuration(limits.verifyMs);
}

function isDelivery({ nonce, epoch, revision, digest, committedAt, cause }: Fields): boolean {
  if (!isName(nonce) || !isName(epoch) || !isCount(revision) || !isName(digest) || !isText(cause)) return false;
  return isText(committedAt) && !Number.isNaN(Date.parse(committedAt as string));
}

function isSnapshot(fields: Fields): boolean {
  return isDelivery(fields) && isObject(fields.settings);
}

function isPatch(fields: Fields): boolean {
  const { base, operations } = fields;
  return isDelivery(fields) && isCount(base) && Array.isArray(operations) && operations.every(isOperation);
}

function isOperation(operation: unknown): boolean {
  if (!isObject(operation) || !isText(operation.path)) return false;
  return operation.op === 'remove' || (operation.op === 'add' && operation.value !== undefined);
}
