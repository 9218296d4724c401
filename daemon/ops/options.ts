import { dirname, resolve } from 'node:path';
import { type Path, parsePath } from '../../schemas/paths.ts';
import { defaultRuntimeFolder } from '../../schemas/runtime-folder.ts';
import { DaemonError } from '../model/errors.ts';
import type { Format } from '../model/format.ts';
import { type AdminOptions, type AlertOptions, adminOptions, alertOptions, requireOwnFolder } from './admin-options.ts';
import { defaultStateFolder, placeOf } from './default-folders.ts';
import { durationsOf } from './durations.ts';
import {
  type FileModeCheck,
  type Profile,
  profileOf,
  readEnvironment,
  readHotReload,
  readModeCheck,
} from './environment.ts';
import { type GcpOptions, gcpOptions } from './gcp-options.ts';
import { type Limits, limitsOf } from './limits.ts';
import { type RolloutOptions, rolloutOptions, type ViewOptions, viewOptions } from './view-options.ts';

export interface FileOptions {
  /** As written in the options, for people. */
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  readonly format?: Format;
  readonly at: Path;
  readonly optional: boolean;
  /** Its values are not secret, but for what the schema marks. */
  readonly isPlain: boolean;
}

/** How the daemon is set up, with every default filled in. Paths are absolute, durations in milliseconds. */
export interface Options {
  readonly file: string;
  readonly environment: string;
  readonly profile: Profile;
  readonly hotReload: boolean;
  readonly schema: string;
  readonly sources: {
    readonly defaults: readonly FileOptions[];
    readonly files: readonly FileOptions[];
    readonly gcp?: GcpOptions;
    readonly env?: {
      readonly prefix?: string;
      readonly files: readonly FileOptions[];
      readonly map: Readonly<Record<string, Path>>;
    };
  };
  readonly reload: {
    readonly quietMs: number;
    readonly maxWaitMs: number;
    readonly minIntervalMs: number;
    readonly deadlineMs: number;
    /** How long a start waits for a source that cannot be read yet. */
    readonly startWaitMs: number;
    readonly rescanMs: number;
    /** A reload that removes a larger share of the settings than this, from 0 to 1, waits for an operator. */
    readonly maxRemoved: number;
  };
  readonly runtimeDir: string;
  /** It is the options file that says so, and not the default. */
  readonly isRuntimeDirGiven: boolean;
  /** Of that folder, when the daemon makes it: a user's own default lets nobody else in. */
  readonly runtimeDirMode: 0o700 | 0o750;
  readonly stateDir: string;
  /** `undefined` without a key file of the options; a systemd credential may still give a key. */
  readonly lastKnownGood: { readonly keyFile?: string; readonly keep: number };
  readonly views: readonly ViewOptions[];
  readonly rollout: RolloutOptions;
  readonly admin: AdminOptions;
  readonly alerts: AlertOptions;
  readonly log: { readonly level: string; readonly format: 'auto' | 'text' | 'json' };
  readonly fileModeCheck: FileModeCheck;
  /** What to do without a way to know who connects: not start, go on, or not even look. */
  readonly peerAuth: 'required' | 'preferred' | 'off';
  readonly limits: Limits;
}

// The document has passed options.schema.json, so its shape is known; only its defaults are not there.
// biome-ignore lint/suspicious/noExplicitAny: a checked document
type Document = any;

/** Turns a checked options document into options. Throws `options_unusable` for what the schema cannot say. */
export function resolveOptions(file: string, document: Document, env: NodeJS.ProcessEnv): Options {
  const folder = dirname(file);
  const environment = readEnvironment(document, env);
  const profile = document.profile ?? profileOf(environment);
  const inFolder = (path: string) => resolve(folder, path);
  const {
    sources,
    reload = {},
    limits = {},
    log = {},
    views,
    rollout = {},
    lastKnownGood = {},
    admin,
    alerts,
  } = document;
  const ms = durationsOf(file);
  const runtimeDir = document.runtimeDir ? inFolder(document.runtimeDir) : defaultRuntimeFolder(placeOf(env));
  requireOwnFolder(document, runtimeDir, file);
  const defaults = listed(sources.defaults).map((path) => ({ path, secret: false }));
  return {
    file,
    environment,
    profile,
    hotReload: readHotReload(document, env, profile),
    schema: inFolder(document.schema),
    sources: {
      defaults: defaults.map((entry) => fileOptions(entry, file)),
      files: listed(sources.files).map((entry) =>
        fileOptions(typeof entry === 'string' ? { path: entry } : entry, file),
      ),
      ...(sources.gcp && { gcp: gcpOptions(sources.gcp, file, (path) => settingsPath(path, file), ms) }),
      ...(sources.env && { env: envOptions(sources.env, file) }),
    },
    reload: {
      quietMs: ms('reload.quiet', reload.quiet ?? '50ms', { most: '1m' }),
      maxWaitMs: ms('reload.maxWait', reload.maxWait ?? '500ms', { most: '10m' }),
      minIntervalMs: ms('reload.minInterval', reload.minInterval ?? '0s'),
      deadlineMs: ms('reload.deadline', reload.deadline ?? '30s', { least: '100ms' }),
      startWaitMs: ms('reload.startWait', reload.startWait ?? (profile === 'development' ? '0s' : '30s')),
      rescanMs: ms('reload.rescan', reload.rescan ?? '5s', { least: '1s', most: '24h' }),
      maxRemoved: Number.parseInt(reload.maxRemoved ?? '50%', 10) / 100,
    },
    runtimeDir,
    isRuntimeDirGiven: document.runtimeDir !== undefined,
    runtimeDirMode: document.runtimeDir || env.RUNTIME_DIRECTORY || !process.getuid?.() ? 0o750 : 0o700,
    stateDir: document.stateDir ? inFolder(document.stateDir) : defaultStateFolder(env),
    lastKnownGood: {
      ...(lastKnownGood.keyFile && { keyFile: inFolder(lastKnownGood.keyFile) }),
      keep: lastKnownGood.keep ?? 20,
    },
    views: viewOptions(views, file),
    rollout: rolloutOptions(rollout, file, ms),
    admin: adminOptions(admin, folder, file, ms),
    alerts: alertOptions(alerts, folder, file),
    log: { level: log.level ?? 'info', format: log.format ?? 'auto' },
    fileModeCheck: readModeCheck(document.fileModeCheck ?? 'auto', profile),
    peerAuth: document.peerAuth ?? 'preferred',
    limits: limitsOf(limits),
  };
}

/** One thing, or a list of them. */
function listed(value: Document | readonly Document[] = []): readonly Document[] {
  return Array.isArray(value) ? value : [value];
}

function fileOptions(entry: Document, file: string, format: Format | undefined = entry.format): FileOptions {
  return {
    name: entry.path,
    path: resolve(dirname(file), entry.path),
    ...(format && { format }),
    at: entry.at === undefined ? [] : settingsPath(entry.at, file),
    optional: entry.optional ?? false,
    isPlain: entry.secret === false,
  };
}

function envOptions(env: Document, file: string): Options['sources']['env'] {
  const map = Object.entries(env.map ?? {}).map(([name, path]) => [name, settingsPath(path as string, file)]);
  return {
    ...(env.prefix && { prefix: env.prefix }),
    files: (env.files ?? []).map((path: string) => fileOptions({ path, optional: true }, file, 'env')),
    map: Object.fromEntries(map),
  };
}

function settingsPath(text: string, subject: string): Path {
  const path = parsePath(text);
  if (path && path.length > 0) return path;
  throw new DaemonError('options_unusable', `'${text}' is not a path in the settings`, {
    subject,
    mend: 'write it like database.url',
  });
}
