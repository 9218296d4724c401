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

  /**
   * `true` or `false` where the schema says so with `writeOnly` or `x-secret`, for the path or for what holds it. One place that
   * makes a path secret is enough; `false` counts where it holds whichever of several alternatives applies.
   */
  secrecy(path: Path): boolean | undefined {
    for (let length = path.length; length >= 0; length--) {
      const at = path.slice(0, length);
      const schemas = this.at(at);
      if (schemas.some((schema) => schema.writeOnly === true || schema['x-secret'] === true)) return true;
      if (schemas.some(isOpen) && this.#isAlwaysOpen(this.root, at, new Set())) return false;
    }
    return undefined;
  }

  /** References that lead out of the document, with their places. What they say is not known, so it is taken for secret. */
  get unfollowed(): readonly string[] {
    return this.#references.unfollowed;
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

  #isAlwaysOpen(schema: JsonValue | undefined, path: Path, seen: Set<JsonObject>): boolean {
    if (!isObject(schema) || seen.has(schema)) return false;
    if (path.length === 0 && isOpen(schema)) return true;
    const inPart = (part: JsonValue | undefined) => this.#isAlwaysOpen(part, path, new Set([...seen, schema]));
    const [first, ...rest] = path;
    const inChild = (child: JsonValue) => this.#isAlwaysOpen(child, rest, new Set());
    return (
      (first !== undefined && childSchemas(schema, first, true).some(inChild)) ||
      this.#referred(schema).some(inPart) ||
      listOf(schema.allOf).some(inPart) ||
      [schema.anyOf, schema.oneOf].some((all) => listOf(all).length > 0 && listOf(all).every(inPart)) ||
      (inPart(schema.then) && inPart(schema.else))
    );
  }

  #expandAll(schemas: readonly JsonValue[]): readonly JsonObject[] {
    return [...new Set(schemas.flatMap((schema) => this.#expand(schema, new Set())))];
  }

  #expand(schema: JsonValue | undefined, seen: Set<JsonValue>): JsonObject[] {
    if (!isObject(schema) || seen.has(schema)) return [];
    seen.add(schema);
    const { allOf, anyOf, oneOf, dependentSchemas, dependencies } = schema;
    const inner: (JsonValue | undefined)[] = [allOf, anyOf, oneOf].flatMap(listOf);
    inner.push(schema.if, schema.then, schema.else);
    for (const map of [dependentSchemas, dependencies]) if (isObject(map)) inner.push(...Object.values(map));
    inner.push(...this.#referred(schema));
    return [schema, ...inner.flatMap((part) => this.#expand(part, seen))];
  }

  /** What a schema's references name. */
  #referred(schema: JsonObject): readonly JsonValue[] {
    const { $ref, $dynamicRef } = schema;
    const found: JsonValue[] = [];
    if (typeof $ref === 'string') found.push(this.#references.resolve(schema, $ref) ?? unknown);
    if (typeof $dynamicRef === 'string') found.push(...this.#references.resolveDynamic(schema, $dynamicRef));
    return found;
  }
}

/** Stands for a schema that is not at hand. */
const unknown: JsonObject = { 'x-secret': true };

function isOpen(schema: JsonObject): boolean {
  return schema['x-secret'] === false;
}

function listOf(value: JsonValue | undefined): readonly JsonValue[] {
  return Array.isArray(value) ? value : [];
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

/** `isSure`: only what applies whatever else the schema says. */
function childSchemas(parent: JsonObject, key: string, isSure = false): JsonValue[] {
  const { properties, patternProperties, additionalProperties, unevaluatedProperties } = parent;
  const found: JsonValue[] = /^\d+$/.test(key) ? itemSchemas(parent, Number(key), isSure) : [];
  if (isObject(properties) && Object.hasOwn(properties, key)) found.push(properties[key]!);
  if (isObject(patternProperties)) {
    for (const [pattern, schema] of Object.entries(patternProperties)) {
      if (new RegExp(pattern, 'u').test(key)) found.push(schema);
    }
  }
  if (found.length === 0 && additionalProperties !== undefined) found.push(additionalProperties);
  if (found.length === 0 && unevaluatedProperties !== undefined && !isSure) found.push(unevaluatedProperties);
  return found;
}

function itemSchemas(
  { prefixItems, items, additionalItems, unevaluatedItems, contains }: JsonObject,
  i: number,
  isSure: boolean,
): JsonValue[] {
  // In draft-07 a list of `items` is what `prefixItems` is since.
  const own = listOf(prefixItems)[i] ?? listOf(items)[i] ?? (Array.isArray(items) ? additionalItems : items);
  const all = isSure ? [own] : [own ?? unevaluatedItems, contains];
  return all.filter((one) => one !== undefined);
}
