import type { JsonObject, JsonValue } from '../../schemas/json.ts';
import { leavesOf } from '../../schemas/patch.ts';
import { valueAt } from '../../schemas/paths.ts';
import type { AppSchema } from '../model/app-schema.ts';
import type { Account } from '../ops/accounts.ts';
import { type Clock, systemClock } from '../ops/clock.ts';
import type { Log } from '../ops/log.ts';
import type { Options } from '../ops/options.ts';
import type { Redaction } from '../ops/redaction.ts';
import { createEnvSource } from './env-source.ts';
import { FileCalls } from './file-calls.ts';
import { FileSource } from './file-source.ts';
import { GcpSource } from './gcp/gcp-source.ts';
import { SharedManager } from './gcp/shared-manager.ts';
import type { Source } from './source.ts';

export interface SourceParts {
  readonly options: Options;
  readonly env: NodeJS.ProcessEnv;
  readonly schema: AppSchema;
  readonly redaction: Redaction;
  readonly clock: Clock;
  readonly log: Log;
  readonly onWatchHealth: () => void;
  /** What tells this daemon from every other one. */
  readonly instance: () => string;
  /** Secret Manager for more sources than these; otherwise they have one of their own. */
  readonly secretManager?: SharedManager | undefined;
  /** Who is to read the files, when that is not this process. */
  readonly reader?: Account;
}

/** Makes sets of sources, for serving and for looking, that share what they ask Google by. `log`: of one set. */
export function sourceSets(parts: SourceParts): (log?: Log) => Source[] {
  const { gcp } = parts.options.sources;
  const secretManager = gcp && new SharedManager(gcp, parts.clock);
  return (log = parts.log) => createSources({ ...parts, log, secretManager });
}

/** Every source that the options name, lowest priority first. Reads nothing but the process environment. */
export function createSources(parts: SourceParts): Source[] {
  const { options, env, schema, redaction, clock, log, onWatchHealth, instance, reader } = parts;
  const { defaults, files, gcp, env: envOptions } = options.sources;
  const { limits, fileModeCheck, reload } = options;
  const lookAgainMs = Math.max(reload.quietMs, 50);
  const times = { rescanMs: reload.rescanMs, lookAgainMs };
  // The kernel answers in real time, however fast the daemon's clock is.
  const calls = new FileCalls(systemClock);
  const plain = { limits, ...times, clock, calls, log, onWatchHealth, ...(reader && { reader }) };
  const secret = { ...plain, modeCheck: fileModeCheck, onParsed: redaction.remember.bind(redaction) };
  const sources: Source[] = [];
  const marked = (part: string, settings: JsonObject) => redaction.remember(part, markedSecret(schema, settings));
  if (defaults.length > 0) {
    const named = { id: 'defaults', kind: 'defaults', naming: {} } as const;
    sources.push(new FileSource({ ...plain, ...named, roots: defaults, modeCheck: 'off', onParsed: marked }));
  }
  for (const root of files) {
    const named = { id: `files:${root.name}`, kind: 'files', naming: {} } as const;
    const rules = root.isPlain ? ({ ...plain, modeCheck: 'off', onParsed: marked } as const) : secret;
    sources.push(new FileSource({ ...rules, ...named, roots: [root] }));
  }
  if (gcp) {
    const { onParsed } = secret;
    const shared = parts.secretManager;
    sources.push(
      new GcpSource({ options: gcp, ...(shared && { shared }), limits, clock, log, instance, onWatchHealth, onParsed }),
    );
  }
  if (envOptions) sources.push(createEnvSource(envOptions, env, schema, secret));
  return sources;
}

/** What is not secret as a whole, but for what the schema marks. */
function markedSecret(schema: AppSchema, settings: JsonObject): JsonValue {
  return leavesOf(settings).flatMap((path) => (schema.secrecy(path) === true ? [valueAt(settings, path)!] : []));
}
