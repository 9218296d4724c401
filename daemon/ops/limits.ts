import { parseSize } from '../model/units.ts';

/** Limits on what is read from outside. Sizes in bytes. */
export interface Limits {
  readonly fileSize: number;
  readonly keys: number;
  readonly values: number;
  readonly depth: number;
  readonly snapshotSize: number;
  readonly clients: number;
  readonly clientsPerUid: number;
  /** Of one program; ten times as many of all programs of one user. */
  readonly framesPerSecond: number;
  /** Of each kind, of one program; five times as many of all programs of one user. */
  readonly requestsPerMinute: number;
  /** Lines about the programs of one user, in bytes. */
  readonly logPerMinute: number;
}

// The document has passed options.schema.json.
// biome-ignore lint/suspicious/noExplicitAny: a checked document
type Document = any;

/** `limits`, with every default filled in. */
export function limitsOf(limits: Document): Limits {
  return {
    fileSize: parseSize(limits.fileSize ?? '1MiB')!,
    keys: limits.keys ?? 20_000,
    values: limits.values ?? 100_000,
    depth: limits.depth ?? 64,
    snapshotSize: parseSize(limits.snapshotSize ?? '16MiB')!,
    clients: limits.clients ?? 4096,
    clientsPerUid: limits.clientsPerUid ?? 1024,
    framesPerSecond: limits.framesPerSecond ?? 200,
    requestsPerMinute: limits.requestsPerMinute ?? 60,
    logPerMinute: parseSize(limits.logPerMinute ?? '256KiB')!,
  };
}
