import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { expect } from 'chai';
import { parse } from 'yaml';
import { compileOwn, readOwnSchema } from '../../../daemon/ops/own-schemas.ts';

const text = readFileSync(join(import.meta.dirname, '../../../config/hotconf.yaml'), 'utf8');
/** The file with every option that is commented out in it. */
const complete = parse(text.replace(/^( *)# (?= *(- )?[\w"]+:| *- )/gm, '$1'));

type Schema = {
  readonly $ref?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly else?: Schema;
};
const schema = readOwnSchema('options') as Schema & { $defs: Record<string, Schema> };

interface Option {
  readonly path: string;
  readonly default: unknown;
  readonly values: readonly unknown[];
}

/** Each option that the schema has, with all values that the example gives it. */
function options(part: Schema, path: string, values: readonly unknown[]): Option[] {
  const { properties, items, additionalProperties } = { ...resolve(part), ...part.else, ...part };
  const objects = values.filter((value) => typeof value === 'object' && value !== null);
  const below = objects.flatMap((value) => Object.values(value as object));
  const named = Object.entries(properties ?? {}).flatMap(([name, option]) => {
    const found = objects.flatMap((value) =>
      name in (value as object) ? [(value as Record<string, unknown>)[name]] : [],
    );
    const place = path ? `${path}.${name}` : name;
    return [
      { path: place, default: option.default ?? resolve(option).default, values: found },
      ...options(option, place, found),
    ];
  });
  return [
    ...named,
    ...(items ? options(items, `${path}[]`, below) : []),
    ...(typeof additionalProperties === 'object' ? options(additionalProperties, `${path}.*`, below) : []),
  ];
}

function resolve({ $ref }: Schema): Schema {
  return $ref ? schema.$defs[$ref.split('/').at(-1)!]! : {};
}

describe('config/hotconf.yaml', () => {
  const all = options(schema, '', [complete]);

  it('is a valid options file with everything in it that is commented out', () => {
    const validate = compileOwn(schema);
    expect(validate(complete), JSON.stringify(validate.errors)).equal(true);
  });

  it('has every option that there is', () => {
    expect(all.length).greaterThan(80);
    expect(all.filter(({ values }) => values.length === 0).map(({ path }) => path)).deep.equal([]);
  });

  it('shows the default of each option that has one', () => {
    const others = all.filter(
      (option) =>
        option.default !== undefined && !option.values.some((value) => isDeepStrictEqual(value, option.default)),
    );
    // The files of the example are readable by all.
    expect(others.map(({ path }) => path)).deep.equal(['fileModeCheck']);
  });
});
