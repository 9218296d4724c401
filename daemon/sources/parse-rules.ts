import { formatPath, type Path } from '../../schemas/paths.ts';
import { DaemonError } from '../model/errors.ts';

export interface ParseRules {
  /** What the text is of, for errors. */
  readonly subject: string;
  readonly depth: number;
  readonly keys: number;
  /** Values in all: keys, items of lists, and what aliases stand for. */
  readonly values: number;
}

export function forbiddenKey({ subject }: ParseRules, path: string, line?: number): DaemonError {
  const facts = { subject, path, ...(line !== undefined && { line }), mend: 'use another name' };
  return new DaemonError('source_forbidden_key', 'keys named __proto__, constructor or prototype are refused', facts);
}

export function tooDeep({ subject, depth }: Pick<ParseRules, 'subject' | 'depth'>, path: Path): DaemonError {
  const facts = { subject, path: formatPath(path.slice(0, 4)), mend: 'nest less, or raise limits.depth' };
  return new DaemonError('source_too_deep', `is nested deeper than limits.depth of ${depth}`, facts);
}

export function tooManyValues({ subject, values }: ParseRules): DaemonError {
  return new DaemonError('source_too_many_values', `has more values than limits.values of ${values}`, {
    subject,
    mend: 'split the file, write no aliases of aliases, or raise limits.values',
  });
}

/** Paths of settings are written in histories, logs and messages: few long keys above many settings make gigabytes. */
export const maxPathCharacters = 32 * 1024 * 1024;

export function tooLongPaths({ subject }: ParseRules): DaemonError {
  const what = `the paths of its settings have more than ${maxPathCharacters} characters in all`;
  return new DaemonError('source_too_large', what, { subject, mend: 'shorten the keys, or split the file' });
}

/** Ciphertext must never be taken for a value. */
export function encrypted({ subject }: ParseRules): DaemonError {
  return new DaemonError('source_encrypted', 'is encrypted by SOPS', {
    subject,
    mend: 'serve it decrypted (sops decrypt), or take it out of the folder',
  });
}

export function tooManyKeys({ subject, keys }: Pick<ParseRules, 'subject' | 'keys'>): DaemonError {
  return new DaemonError('source_too_many_keys', `has more keys than limits.keys of ${keys}`, {
    subject,
    mend: 'split the file, or raise limits.keys',
  });
}
