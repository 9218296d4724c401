import { encodeFrame, maxInboundFrame, type ToDaemon } from '../schemas/wire.ts';
import { type FieldLimit, toDaemonLimits } from '../schemas/wire-limits.ts';
import { ClientError } from './errors.ts';

type Fields = Record<string, unknown>;

/**
 * Encodes a frame within the limits of `wire.schema.json`: cuts texts, lists and numbers, and shortens a list further when
 * the frame would exceed the size limit. Converts other values to text where the daemon expects text. Never throws.
 */
export function encodeFitted<Type extends keyof ToDaemon>(type: Type, data: ToDaemon[Type]): string {
  const fitted = fit(type, data);
  const frame = encodeFrame(type, fitted);
  const excess = Buffer.byteLength(frame) - maxInboundFrame;
  return excess <= 0 ? frame : encodeFrame(type, shortened(fitted as Fields, excess));
}

/** Returns a frame's data with every field within its limit. */
export function fit<Type extends keyof ToDaemon>(type: Type, data: ToDaemon[Type]): ToDaemon[Type] {
  const limits: Readonly<Record<string, FieldLimit>> = type in toDaemonLimits ? toDaemonLimits[type as 'hello'] : {};
  const fitted: Fields = { ...data };
  for (const field in limits) if (fitted[field] !== undefined) fitted[field] = fitField(fitted[field], limits[field]!);
  return fitted as unknown as ToDaemon[Type];
}

/** Throws `usage` unless the value is a text of 1 to `chars` characters. For arguments that cannot be cut. */
export function requireWhole(what: string, value: unknown, { chars }: { readonly chars: number }): void {
  if (typeof value === 'string' && value !== '' && value.length <= chars) return;
  throw new ClientError('usage', `${what} is a text of 1 to ${chars} characters`);
}

function fitField(value: unknown, { chars = 0, items, most }: FieldLimit): unknown {
  if (most !== undefined) return Math.min(value as number, most);
  if (items === undefined) return cut(String(value), chars);
  return (value as unknown[]).slice(0, items).map((item) => cut(String(item), chars));
}

function cut(text: string, chars: number): string {
  if (text.length <= chars) return text;
  // A cut must not leave half of a surrogate pair.
  return `${text.slice(0, chars - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** Removes the last items of the frame's only list until the frame is at least this many bytes shorter. */
function shortened(fields: Fields, excess: number): Fields {
  const [name, list] = Object.entries(fields).find(([, value]) => Array.isArray(value)) as [string, string[]];
  const kept = [...list];
  for (let left = excess; left > 0 && kept.length > 0; ) left -= Buffer.byteLength(JSON.stringify(kept.pop())) + 1;
  return { ...fields, [name]: kept };
}
