import type { ScalarType } from '../../schemas/environment.ts';
import { isObject, type JsonObject, type JsonValue } from '../../schemas/json.ts';
import { fromPointer } from '../../schemas/patch.ts';
import { type Path, valueAt } from '../../schemas/paths.ts';

/**
 * Reads an application's JSON Schema the other way round: what does it say of one path? It follows `properties`,
 * `patternProperties`, `additionalProperties`, `items`, the combining keywords and local `$ref`s. Nothing is validated
 * here.
 */
export class AppSchema {
  readonly root: JsonObject;
  readonly #memo = new Map<string, readonly JsonObject[]>();

  constructor(root: JsonObject) {
    this.root = root;
  }

  /** `true` or `false` where the schema says so with `writeOnly` or `x-secret`, for the path or for what holds it. */
  secrecy(path: Path): boolean | undefined {
    for (let length = path.length; length >= 0; length--) {
      const schemas = this.at(path.slice(0, length));
      if (schemas.some((schema) => schema.writeOnly === true || schema['x-secret'] === true)) return true;
      if (schemas.some((schema) => schema['x-secret'] === false)) return false;
    }
    return undefined;
  }

  /** The scalar type wanted at a path, when it is one that text does not already have. */
  scalarType(path: Path): ScalarType | undefined {
    const types = this.at(path).flatMap((schema) => schema.type ?? []) as JsonValue[];
    if (types.includes('string')) return undefined;
    return (['integer', 'number', 'boolean'] as const).find((type) => types.includes(type));
  }

  /** The application's top-level parts. */
  get parts(): readonly string[] {
    return isObject(this.root.properties) ? Object.keys(this.root.properties) : [];
  }

  /** Names of properties that the schema knows in the object at a path. */
  knownKeys(path: Path): readonly string[] {
    return this.at(path).flatMap((schema) => (isObject(schema.properties) ? Object.keys(schema.properties) : []));
  }

  /** Every subschema that speaks of a path. */
  at(path: Path): readonly JsonObject[] {
    const key = JSON.stringify(path);
    let found = this.#memo.get(key);
    if (!found) {
      const parents = path.length === 0 ? [] : this.at(path.slice(0, -1));
      const direct = path.length === 0 ? [this.root] : parents.flatMap((parent) => childSchemas(parent, path.at(-1)!));
      found = [...new Set(direct.flatMap((schema) => this.#expand(schema, new Set())))];
      // Paths come from settings, so their number is theirs; the memo must not outgrow a large set of them.
      if (this.#memo.size < 50_000) this.#memo.set(key, found);
    }
    return found;
  }

  #expand(schema: JsonValue | undefined, seen: Set<JsonValue>): JsonObject[] {
    if (!isObject(schema) || seen.has(schema)) return [];
    seen.add(schema);
    const inner: (JsonValue | undefined)[] = ['allOf', 'anyOf', 'oneOf'].flatMap((word) =>
      Array.isArray(schema[word]) ? (schema[word] as JsonValue[]) : [],
    );
    inner.push(schema.if, schema.then, schema.else, this.#resolve(schema.$ref));
    return [schema, ...inner.flatMap((part) => this.#expand(part, seen))];
  }

  #resolve(ref: JsonValue | undefined): JsonValue | undefined {
    if (typeof ref !== 'string' || !ref.startsWith('#')) return undefined;
    const path = fromPointer(decodeURIComponent(ref.slice(1)));
    return path ? valueAt(this.root, path) : undefined;
  }
}

function childSchemas(parent: JsonObject, key: string): JsonValue[] {
  const { properties, patternProperties, additionalProperties, prefixItems, items } = parent;
  const found: JsonValue[] = [];
  if (/^\d+$/.test(key)) {
    const own = Array.isArray(prefixItems) ? prefixItems[Number(key)] : undefined;
    if (own !== undefined) found.push(own);
    else if (items !== undefined) found.push(items);
  }
  if (isObject(properties) && Object.hasOwn(properties, key)) found.push(properties[key]!);
  if (isObject(patternProperties)) {
    for (const [pattern, schema] of Object.entries(patternProperties)) {
      if (new RegExp(pattern, 'u').test(key)) found.push(schema);
    }
  }
  if (found.length === 0 && additionalProperties !== undefined) found.push(additionalProperties);
  return found;
}
