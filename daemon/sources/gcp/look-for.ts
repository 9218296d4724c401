import type { VersionChoice } from '../../ops/gcp-options.ts';
import type { Look } from './pursuit.ts';
import type { SecretEvent } from './secret-event.ts';

/** What is known of a secret when an event about it comes. */
export interface KnownVersions {
  readonly choice: VersionChoice;
  /** The version that is served. */
  readonly served: number | undefined;
  /** The newest version that was read and is no good; 0 when there is none. */
  readonly bad: number;
  /** The highest version that an event has named; 0 when there is none. */
  readonly announced: number;
  readonly isWell: boolean;
}

/** How an event has a secret looked at; `undefined` when it says nothing new of the version that is to be served. */
export function lookFor({ type, version = 0 }: SecretEvent, known: KnownVersions): Look | undefined {
  return type === 'SECRET_VERSION_ADD' ? lookForAdded(version, known) : lookForOther(type, version, known);
}

function lookForAdded(version: number, { choice, served, bad, announced }: KnownVersions): Look | undefined {
  if (choice.kind === 'alias') return undefined;
  if (choice.kind === 'number') return choice.number === version && served === undefined ? 'chosen' : undefined;
  return version <= Math.max(served ?? 0, bad, announced) ? undefined : 'announced';
}

function lookForOther(type: string, version: number, known: KnownVersions): Look | undefined {
  const { choice, served, bad, isWell } = known;
  const isNewer = version > (served ?? 0);
  switch (type) {
    case 'SECRET_DELETE':
      return 'chosen';
    case 'SECRET_CREATE':
      return isWell ? undefined : 'chosen';
    case 'SECRET_UPDATE':
      return choice.kind === 'alias' ? 'chosen' : undefined;
    // The version that is served can also come back: what has failed for good is looked at again.
    case 'SECRET_VERSION_ENABLE':
      return !isWell || (choice.kind === 'newest-enabled' && isNewer) ? 'chosen' : undefined;
    case 'SECRET_VERSION_DISABLE':
    case 'SECRET_VERSION_DESTROY':
    case 'SECRET_VERSION_DESTROY_SCHEDULED':
      return version === served || version === bad || (choice.kind === 'latest' && isNewer) ? 'chosen' : undefined;
    default:
      return undefined;
  }
}
