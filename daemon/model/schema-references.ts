import { isObject, type JsonObject, type JsonValue } from '../../schemas/json.ts';
import { fromPointer } from '../../schemas/patch.ts';

/** Keywords whose value is data, not a schema. */
export const dataWords = new Set(['enum', 'const', 'default', 'examples']);
/** Keywords whose value maps names to schemas. */
export const mapWords = new Set([
  'properties',
  'patternProperties',
  '$defs',
  'definitions',
  'dependentSchemas',
  'dependencies',
]);
/** The address of a schema that gives itself none. */
const defaultBase = 'schema:///root';

/** The targets of references within one schema document: JSON pointers, `$anchor`s and `$id`s. Nothing is fetched. */
export class SchemaReferences {
  readonly #bases = new Map<JsonObject, string>();
  readonly #targets = new Map<string, JsonObject>();
  readonly #dynamic = new Map<string, JsonObject[]>();

  constructor(root: JsonObject) {
    this.#targets.set(defaultBase, root);
    this.#index(root, defaultBase);
  }

  /** The schema that a `$ref` in `from` names; `undefined` when this document does not have it. */
  resolve(from: JsonObject, ref: string): JsonValue | undefined {
    const address = absolute(ref, this.#bases.get(from) ?? defaultBase);
    const known = address && this.#targets.get(address);
    if (!address || known) return known;
    const [document, fragment = ''] = address.split('#');
    const path = fromPointer(decoded(fragment));
    return path?.reduce(child, this.#targets.get(document!));
  }

  /** The schemas that a `$dynamicRef` in `from` may name: which of them depends on how it is come to. */
  resolveDynamic(from: JsonObject, ref: string): readonly JsonValue[] {
    const named = this.#dynamic.get(ref.split('#')[1] ?? '') ?? [];
    const plain = this.resolve(from, ref);
    return plain === undefined || named.includes(plain as JsonObject) ? named : [plain, ...named];
  }

  /** Every `$ref` that this document does not have the target of. */
  get unfollowed(): readonly string[] {
    const found = new Set<string>();
    for (const node of this.#bases.keys())
      if (typeof node.$ref === 'string' && this.resolve(node, node.$ref) === undefined) found.add(node.$ref);
    return [...found];
  }

  #index(node: JsonValue, outer: string): void {
    if (Array.isArray(node)) for (const item of node) this.#index(item, outer);
    if (!isObject(node)) return;
    const address = typeof node.$id === 'string' ? absolute(node.$id, outer) : undefined;
    if (address) this.#targets.set(address, node);
    // In draft-07 an `$id` of a fragment alone is an anchor.
    const base = address?.split('#')[0] ?? outer;
    this.#bases.set(node, base);
    for (const anchor of [node.$anchor, node.$dynamicAnchor])
      if (typeof anchor === 'string') this.#targets.set(`${base}#${anchor}`, node);
    const { $dynamicAnchor: name } = node;
    if (typeof name === 'string') this.#dynamic.set(name, [...(this.#dynamic.get(name) ?? []), node]);
    for (const [word, value] of Object.entries(node)) {
      if (mapWords.has(word) && isObject(value)) for (const part of Object.values(value)) this.#index(part, base);
      else if (!dataWords.has(word)) this.#index(value, base);
    }
  }
}

function absolute(ref: string, base: string): string | undefined {
  return URL.canParse(ref, base) ? new URL(ref, base).href.replace(/#$/, '') : undefined;
}

function decoded(fragment: string): string {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return fragment;
  }
}

function child(value: JsonValue | undefined, key: string): JsonValue | undefined {
  if (Array.isArray(value)) return value[Number(key)];
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}
