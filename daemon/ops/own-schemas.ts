import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020, type AnySchema, type ValidateFunction } from 'ajv/dist/2020.js';
import { schemasFolder } from './schemas-folder.ts';

/**
 * Compiles schemas of our own. They are checked against the meta-schema by a test, not at every start: that would
 * double the time to start.
 */
export function compileOwn(schema: AnySchema): ValidateFunction {
  return createOwn().compile(schema);
}

/** As {@link compileOwn}, for parts of a schema that are compiled at their first use. */
export function compileParts(schema: AnySchema): (part: string) => ValidateFunction {
  const ajv = createOwn();
  ajv.addSchema(schema, 'own');
  const compiled = new Map<string, ValidateFunction>();
  return (part) => {
    let validate = compiled.get(part);
    if (!validate) {
      validate = ajv.getSchema(`own#/$defs/${part}`)!;
      compiled.set(part, validate);
    }
    return validate;
  };
}

/** `options.schema.json` or `wire.schema.json`. */
export function readOwnSchema(name: 'options' | 'wire'): AnySchema {
  return JSON.parse(readFileSync(join(schemasFolder(), `${name}.schema.json`), 'utf8'));
}

function createOwn(): Ajv2020 {
  const options = { strict: false, verbose: false, allErrors: true, logger: false, validateFormats: false } as const;
  return new Ajv2020({ ...options, meta: false, validateSchema: false });
}
