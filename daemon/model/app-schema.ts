import type { ScalarType } from '../../schemas/environment.ts';
import { isObject, type JsonObject, type JsonValue } from '../../schemas/json.ts';
import type { Path } from '../../schemas/paths.ts';
import { SchemaReferences } from './schema-references.ts';

/** Keys that the memo holds, and the longest of them. */
const mostKept = 50_000;
const longestKept = 256;

/**
 * Reads an application's JSON Schema the other way round: what does it say of one path? It follows `properties`,
 * `patternProperties`, `additionalProperties`, `items`, the combining keywords and references within the document.
 * Nothing is validated here.
 */
export class AppSchema {
  readonly root: JsonObject;
  readonly #references: SchemaReferences;
  /** By the subschemas of what holds a key, and the key: whole paths would take far more memory than their keys. */
  readonly #memo = new WeakMap<readonly JsonObject[], Map<string, readonly JsonObject[]>>();
  #kept = 0;
  #top: readonly JsonObject[] | undefined;

  constructor(root: JsonObject) {
    this.root = root;
    this.#references = new SchemaReferences(root);
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

  /**
   * The scalar types that text is converted to at a path, in the order in which they are tried. None where any text is
   * allowed, or where the schema names no such type.
   */
  scalarTypes(path: Path): readonly ScalarType[] {
    const types = new Set(this.at(path).flatMap(typesOf));
    if (types.has('string')) return [];
    // Every integer is a number, and the validator has the last word.
    if (types.has('number')) types.delete('integer');
    return (['number', 'integer', 'boolean'] as const).filter((type) => types.has(type));
  }

  /** Whether `enum` or `const` lists this very text at a path. */
  listsText(path: Path, text: string): boolean {
    return this.at(path).some((schema) => listed(schema).includes(text));
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
    this.#top ??= this.#expandAll([this.root]);
    return path.reduce((parents, key) => this.#below(parents, key), this.#top);
  }

  #below(parents: readonly JsonObject[], key: string): readonly JsonObject[] {
    const known = this.#memo.get(parents)?.get(key);
    if (known) return known;
    const found = this.#expandAll(parents.flatMap((parent) => childSchemas(parent, key)));
    // Keys come from settings, so their number and length are theirs; the memo must not outgrow a large set of them.
    if (key.length > longestKept || this.#kept >= mostKept) return found;
    this.#kept++;
    const ofParents = this.#memo.get(parents) ?? new Map<string, readonly JsonObject[]>();
    this.#memo.set(parents, ofParents.set(key, found));
    return found;
  }

  #expandAll(schemas: readonly JsonValue[]): readonly JsonObject[] {
    return [...new Set(schemas.flatMap((schema) => this.#expand(schema, new Set())))];
  }

  #expand(schema: JsonValue | undefined, seen: Set<JsonValue>): JsonObject[] {
    if (!isObject(schema) || seen.has(schema)) return [];
    seen.add(schema);
    const inner: (JsonValue | undefined)[] = ['allOf', 'anyOf', 'oneOf'].flatMap((word) =>
      Array.isArray(schema[word]) ? (schema[word] as JsonValue[]) : [],
    );
    inner.push(schema.if, schema.then, schema.else);
    if (isObject(schema.dependentSchemas)) inner.push(...Object.values(schema.dependentSchemas));
    for (const ref of [schema.$ref, schema.$dynamicRef])
      if (typeof ref === 'string') inner.push(this.#references.resolve(schema, ref));
    return [schema, ...inner.flatMap((part) => this.#expand(part, seen))];
  }
}

/** The types that a schema names itself; without `type`, those of the values that it lists. */
function typesOf(schema: JsonObject): readonly JsonValue[] {
  const { type } = schema;
  if (type !== undefined) return Array.isArray(type) ? type : [type];
  // A list of texts is not any text.
  return listed(schema).flatMap((value) => {
    if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
    return typeof value === 'boolean' ? 'boolean' : [];
  });
}

function listed({ enum: values, const: value }: JsonObject): readonly JsonValue[] {
  return [...(Array.isArray(values) ? values : []), ...(value === undefined ? [] : [value])];
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
