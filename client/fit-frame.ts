import { encodeFrame, maxInboundFrame, type ToDaemon } from '../schemas/wire.ts';
import { type FieldLimit, toDaemonLimits } from '../schemas/wire-limits.ts';
import { ClientError } from './errors.ts';

type Fields = Record<string, unknown>;

/**
 * A frame as text that the daemon takes: texts, lists and numbers are cut to their limits, and a list further where the
 * frame would be too large with it. What is to be a text is made one. Never throws.
 */
export function encodeFitted<Type extends keyof ToDaemon>(type: Type, data: ToDaemon[Type]): string {
  const fitted = fit(type, data);
  const frame = encodeFrame(type, fitted);
  const tooMany = Buffer.byteLength(frame) - maxInboundFrame;
  return tooMany <= 0 ? frame : encodeFrame(type, shortened(fitted as Fields, tooMany));
}

/** A frame's data with every field within its limit. */
export function fit<Type extends keyof ToDaemon>(type: Type, data: ToDaemon[Type]): ToDaemon[Type] {
  const limits: Readonly<Record<string, FieldLimit>> = type in toDaemonLimits ? toDaemonLimits[type as 'hello'] : {};
  const fitted: Fields = { ...data };
  for (const field in limits) if (fitted[field] !== undefined) fitted[field] = fitField(fitted[field], limits[field]!);
  return fitted as unknown as ToDaemon[Type];
}

/** Throws `usage` for an argument that has to be sent whole and cannot be: no text, an empty one, or one over the limit. */
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
  // Half of a pair of surrogates is no character.
  return `${text.slice(0, chars - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** Leaves out the last items of the one list that a frame has, until it is so many bytes shorter. */
function shortened(fields: Fields, tooMany: number): Fields {
  const [name, list] = Object.entries(fields).find(([, value]) => Array.isArray(value)) as [string, string[]];
  const kept = [...list];
  for (let left = tooMany; left > 0 && kept.length > 0; ) left -= Buffer.byteLength(JSON.stringify(kept.pop())) + 1;
  return { ...fields, [name]: kept };
}
