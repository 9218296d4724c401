import { isObject, type JsonObject, type JsonValue } from '../../schemas/json.ts';
import { type Path, valueAt } from '../../schemas/paths.ts';
import { redacted } from '../../schemas/redactor.ts';
import type { AppSchema } from './app-schema.ts';
import type { LayerPart } from './layer.ts';

/** The part that gives the value at a path: the highest one that has it. */
export function winningPart(parts: readonly LayerPart[], path: Path): LayerPart | undefined {
  return parts.findLast((part) => valueAt(part.settings, path) !== undefined);
}

/**
 * Secret is what the schema marks so, and every value that does not come from the defaults, or from files of which the
 * options say so, unless the schema takes it out.
 */
export function isSecret(schema: AppSchema, parts: readonly LayerPart[], path: Path): boolean {
  return schema.secrecy(path) ?? !isPlain(winningPart(parts, path));
}

function isPlain(part: LayerPart | undefined): boolean {
  return part?.kind === 'defaults' || part?.isPlain === true;
}

/** The settings with every secret value replaced. */
export function redactSettings(schema: AppSchema, parts: readonly LayerPart[], settings: JsonObject): JsonObject {
  const redact = (value: JsonValue, path: Path): JsonValue => {
    if (isObject(value)) return mapObject(value, (inner, key) => redact(inner, [...path, key]));
    return isSecret(schema, parts, path) ? redacted : redactMarked(schema, value, path);
  };
  return redact(settings, []) as JsonObject;
}

/** Inside an array no layer tells parts apart; only the schema's own marks count. */
function redactMarked(schema: AppSchema, value: JsonValue, path: Path): JsonValue {
  if (schema.secrecy(path) === true) return redacted;
  if (Array.isArray(value)) return value.map((inner, i) => redactMarked(schema, inner, [...path, String(i)]));
  return isObject(value) ? mapObject(value, (inner, key) => redactMarked(schema, inner, [...path, key])) : value;
}

function mapObject(value: JsonObject, change: (inner: JsonValue, key: string) => JsonValue): JsonObject {
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, change(inner, key)]));
}
