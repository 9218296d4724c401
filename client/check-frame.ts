import { isObject } from '../schemas/json.ts';
import { protocolVersion } from '../schemas/wire.ts';
import { maxDurationMs } from '../schemas/wire-limits.ts';

type Fields = Readonly<Record<string, unknown>>;

const isText = (value: unknown) => typeof value === 'string';
/** What is sent back to the daemon, which takes no longer one. */
const isName = (value: unknown) => isText(value) && (value as string).length <= 64;
const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
const isAtMost = (most: number) => (value: unknown) => typeof value === 'number' && value >= 0 && value <= most;
const isDuration = isAtMost(maxDurationMs);
const isSize = isAtMost(Number.MAX_SAFE_INTEGER);
const isOptional = (is: (value: unknown) => boolean, value: unknown) => value === undefined || is(value);

/** By event: whether what the client uses of a frame is what `wire.schema.json` says. The others are not used. */
const checks: Readonly<Record<string, (fields: Fields) => boolean>> = {
  welcome: isWelcome,
  snapshot: isSnapshot,
  patch: isPatch,
  verify: (fields) => ('settings' in fields ? isSnapshot(fields) : isPatch(fields)),
  ping: ({ revision }) => isCount(revision),
  response: ({ id, ok, code, message }) =>
    isText(id) && typeof ok === 'boolean' && isOptional(isText, code) && isOptional(isText, message),
  goodbye: ({ retryAfterMs }) => isOptional(isDuration, retryAfterMs),
  error: ({ code, message, fatal, retryAfterMs }) =>
    isText(code) && isText(message) && typeof fatal === 'boolean' && isOptional(isDuration, retryAfterMs),
};

/** Whether a frame of the daemon can be used. Events that this library does not know are let through: they are ignored. */
export function isUsable(type: string, data: unknown): boolean {
  const check = Object.hasOwn(checks, type) ? checks[type] : undefined;
  return !check || (isObject(data) && check(data));
}

function isWelcome({ protocol, resume, limits }: Fields): boolean {
  // Another protocol may have other fields; it is refused by its number.
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
