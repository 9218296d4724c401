import { deepFreeze } from '../../schemas/json.ts';
import type { AppSchema } from '../model/app-schema.ts';
import type { LayerPart } from '../model/layer.ts';
import type { Options } from '../ops/options.ts';
import { FileSource, type FileSourceParts } from './file-source.ts';
import { type EnvNaming, settingsOfEnv } from './parse-env.ts';

export const envSourceId = 'env';
const processPart = 'process environment';

type EnvOptions = NonNullable<Options['sources']['env']>;
type Shared = Omit<FileSourceParts, 'id' | 'kind' | 'roots' | 'fixed' | 'naming'>;

/**
 * The daemon's own environment, above the watched `.env` files, which are the part of the environment that can change
 * while it runs. Throws `source_not_convertible` when a variable of the process does not fit the schema.
 */
export function createEnvSource(
  options: EnvOptions,
  env: NodeJS.ProcessEnv,
  schema: AppSchema,
  shared: Shared,
): FileSource {
  const { map, prefix, files } = options;
  const naming: EnvNaming = { map, schema, ...(prefix && { prefix }) };
  // Without a prefix only mapped names are taken: not all of an environment is settings.
  const chosen = Object.entries(env).filter(
    ([name]) => Object.hasOwn(map, name) || (prefix && name.startsWith(prefix)),
  );
  const settings = deepFreeze(settingsOfEnv(Object.fromEntries(chosen), naming, processPart, shared.limits.depth));
  const part: LayerPart = { sourceId: envSourceId, kind: 'env', name: processPart, settings };
  shared.onParsed(processPart, settings);
  return new FileSource({ ...shared, id: envSourceId, kind: 'env', roots: files, fixed: [part], naming });
}
