import { DaemonError } from '../../model/errors.ts';
import type { VersionChoice } from '../../ops/gcp-options.ts';
import { type SecretManager, type SecretPayload, type SecretRef, secretName } from './secret-manager.ts';

/** What is known of a secret before it is read. */
export interface Known {
  /** The version whose content is at hand. */
  readonly current?: number;
  /** The highest version that a notification has named. */
  readonly announced?: number;
}

export interface ChooseParts {
  readonly manager: SecretManager;
  readonly secret: SecretRef;
  readonly choice: VersionChoice;
  readonly known: Known;
  /** Whether a listing may be made now; its quota is small and the whole project's. */
  readonly mayList: () => boolean;
  readonly signal: AbortSignal;
}

/** Versions that are walked over in search of an enabled one. */
const longestWalk = 100;

/** Reads the version that a notification named, which is strongly consistent, and nothing else. */
export async function readAnnounced({ manager, secret, known, signal }: ChooseParts): Promise<SecretPayload> {
  return manager.access(secret, known.announced!, signal);
}

/**
 * Finds out which version is to be served, and reads it; `'same'` when it is the one whose content is at hand, which
 * never changes.
 */
export async function readChosen(parts: ChooseParts): Promise<SecretPayload | 'same'> {
  const { manager, secret, choice, signal } = parts;
  if (choice.kind === 'newest-enabled') return readNewestEnabled(parts);
  if (choice.kind === 'latest') return readLatest(parts);
  return manager.access(secret, choice.kind === 'number' ? choice.number : choice.alias, signal);
}

/** `latest` may lag behind by minutes; a higher number that is known is the truth. */
async function readLatest({ manager, secret, known, signal }: ChooseParts): Promise<SecretPayload> {
  const highest = Math.max(known.announced ?? 0, known.current ?? 0);
  const answered = await manager.access(secret, 'latest', signal);
  return answered.version >= highest ? answered : manager.access(secret, highest, signal);
}

/** By listing where that is possible now, or else by trying versions one by one. */
async function readNewestEnabled(parts: ChooseParts): Promise<SecretPayload | 'same'> {
  const listed = parts.mayList() ? await listNewest(parts) : 'not told';
  if (listed === 'not told') return (await walkUp(parts)) ?? walkDown(parts);
  const { manager, secret, known, signal } = parts;
  // A version so new that the listing does not have it yet.
  if ((known.announced ?? 0) > (listed ?? 0)) {
    const announced = await ifEnabled(manager.access(secret, known.announced!, signal));
    if (typeof announced === 'object') return announced;
  }
  if (listed === undefined) throw noneEnabled(secret);
  return listed === known.current ? 'same' : manager.access(secret, listed, signal);
}

async function listNewest({ manager, secret, signal }: ChooseParts): Promise<number | undefined | 'not told'> {
  try {
    return await manager.newestEnabled(secret, signal);
  } catch (error) {
    const { code, facts } = error as DaemonError;
    // Reading needs another permission and has a quota 150 times as large.
    if (code === 'secret_forbidden' || facts?.systemCode === 'RESOURCE_EXHAUSTED') return 'not told';
    throw error;
  }
}

/** From the newest version that is known, upwards until there is no higher one; the last that is enabled. */
async function walkUp(parts: ChooseParts): Promise<SecretPayload | undefined> {
  const { manager, secret, signal } = parts;
  const start = highestKnown(parts);
  const first = await ifEnabled(manager.access(secret, start || 'latest', signal));
  if (first === 'missing' && start === 0) throw noneEnabled(secret);
  if (start === 0 && first === 'disabled') return undefined;
  let best = typeof first === 'object' ? first : undefined;
  let number = best?.version ?? start;
  for (let steps = 0; steps < longestWalk; steps++) {
    const next = await ifEnabled(manager.access(secret, ++number, signal));
    if (next === 'missing') break;
    if (next !== 'disabled') best = next;
  }
  return best;
}

async function walkDown(parts: ChooseParts): Promise<SecretPayload> {
  const { manager, secret, signal } = parts;
  const from = highestKnown(parts) || (await newestOfAny(parts));
  for (let number = from; number > Math.max(0, from - longestWalk); number--) {
    const found = await ifEnabled(manager.access(secret, number, signal));
    if (typeof found === 'object') return found;
  }
  throw noneEnabled(secret);
}

/** The highest number there is. Beyond it versions are missing, so that it is found by doubling and halving. */
async function newestOfAny({ manager, secret, signal }: ChooseParts): Promise<number> {
  const exists = async (number: number) => (await ifEnabled(manager.access(secret, number, signal))) !== 'missing';
  let [low, high] = [1, 2];
  while (await exists(high)) [low, high] = [high, high * 2];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (await exists(middle)) low = middle;
    else high = middle;
  }
  return low;
}

function highestKnown({ known }: ChooseParts): number {
  return Math.max(known.announced ?? 0, known.current ?? 0);
}

async function ifEnabled(reading: Promise<SecretPayload>): Promise<SecretPayload | 'disabled' | 'missing'> {
  try {
    return await reading;
  } catch (error) {
    const { code } = error as DaemonError;
    if (code === 'secret_disabled') return 'disabled';
    if (code === 'secret_not_found') return 'missing';
    throw error;
  }
}

function noneEnabled(secret: SecretRef): DaemonError {
  return new DaemonError('secret_disabled', 'it has no version that is enabled', {
    subject: secretName(secret),
    mend: 'add one with `gcloud secrets versions add`, or enable one',
  });
}
