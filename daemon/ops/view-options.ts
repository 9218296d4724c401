import { DaemonError } from '../model/errors.ts';
import { PathPatterns } from '../model/path-patterns.ts';
import { ViewFilter } from '../model/view-filter.ts';
import type { ReadDuration } from './durations.ts';

/** Who may connect, by account. Root and the daemon's own user always may: they could read it all anyway. */
export interface AllowOptions {
  /** Names or numbers. */
  readonly users: readonly string[];
  readonly groups: readonly string[];
}

/** What one group of programs may see and do. Its socket is `<runtimeDir>/<name>.sock`. */
export interface ViewOptions {
  readonly name: string;
  readonly filter: ViewFilter;
  /** Of the socket. */
  readonly mode: number;
  /** The socket's group: a name or a number. */
  readonly group?: string;
  readonly allow?: AllowOptions;
  /** By default only with a view of everything. */
  readonly mayReload: boolean;
  /** ... secrets of which the view shows everything. */
  readonly mayRotate: boolean;
  /** Changes that the view shows wait for its programs with `verify`. */
  readonly mayVerify: boolean;
}

/** How a new snapshot goes out. */
export interface RolloutOptions {
  /** How long a program may try a candidate. */
  readonly verifyMs: number;
  /** `undefined`: to all at once. */
  readonly canary?: CanaryOptions;
  /** A change at one of these paths goes to all at once: a revoked secret must not wait. */
  readonly urgent: PathPatterns;
}

export interface CanaryOptions {
  /** Of the programs that a change concerns, from 0 to 1; at least one. */
  readonly share: number;
  /** These first, by their names. */
  readonly subscribers: readonly string[];
  readonly bakeMs: number;
  /** So many may reject it before it is withdrawn. */
  readonly maxRejected: number;
}

// The document has passed options.schema.json.
// biome-ignore lint/suspicious/noExplicitAny: a checked document
type Document = any;

/** The views, with every default filled in. Without any there is one, `default`, with everything. */
export function viewOptions(views: Document, subject: string): readonly ViewOptions[] {
  return Object.entries<Document>(views ?? { default: {} }).map(([name, view]) => {
    const { include = ['**'], exclude = [], mode = '0660', group, allow } = view;
    const filter = compiled(() => new ViewFilter(include, exclude), subject, `views.${name}`);
    // A reload reads what other views show too.
    const { mayReload = filter.isAll, mayRotate = false, mayVerify = true } = view;
    return {
      name,
      filter,
      mode: Number.parseInt(mode, 8),
      ...(group !== undefined && { group: String(group) }),
      ...(allow && { allow: { users: (allow.users ?? []).map(String), groups: (allow.groups ?? []).map(String) } }),
      mayReload,
      mayRotate,
      mayVerify,
    };
  });
}

/** `rollout`, with every default filled in; durations are parsed by the caller's `ms`. */
export function rolloutOptions(rollout: Document, subject: string, ms: ReadDuration): RolloutOptions {
  const { strategy = 'all', verifyTimeout = '10s', canary = {}, urgent = [] } = rollout;
  const { share = '10%', subscribers = [], bake = '30s', maxRejected = 0 } = canary;
  return {
    verifyMs: ms('rollout.verifyTimeout', verifyTimeout, { least: '10ms' }),
    ...(strategy === 'canary' && {
      canary: {
        share: Number.parseInt(share, 10) / 100,
        subscribers,
        bakeMs: ms('rollout.canary.bake', bake, { most: '168h' }),
        maxRejected,
      },
    }),
    urgent: compiled(() => new PathPatterns(urgent), subject, 'rollout.urgent'),
  };
}

function compiled<T>(compile: () => T, subject: string, path: string): T {
  try {
    return compile();
  } catch (error) {
    const mend = 'write it like llm.key, features.** or llm.*';
    throw new DaemonError('options_unusable', (error as RangeError).message, { subject, path, mend });
  }
}
