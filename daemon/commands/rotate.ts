import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { RotationResult } from '../../schemas/wire.ts';
import { DaemonError, systemCode } from '../model/errors.ts';
import { plainText } from '../model/plain-text.ts';
import { askDaemon } from './admin-client.ts';
import { type Io, printJson, printLines, type SharedOptions } from './io.ts';

export interface RotateOptions extends SharedOptions {
  readonly secret: string;
  /** A file, or `-` for stdin. */
  readonly dataFile?: string;
  /** How many characters to make. */
  readonly generate?: string;
  readonly at?: string;
}

const shortest = 16;
const longest = 4_096;
/** Waiting for programs is not over yet. */
const tryLater = 75;

/** Adds a version, waits until every program runs it, and tells who rejected it. The value is shown nowhere. */
export async function rotate(options: RotateOptions, io: Io): Promise<number> {
  const { secret, at } = options;
  const value = contentOf(options).toString('base64');
  const { status, body } = await askDaemon<RotationResult>(options, io, '/admin/rotate', {
    secret,
    value,
    ...(at && { at }),
  });
  if (status !== 200 && status !== 422)
    throw new DaemonError(status === 403 ? 'not_permitted' : 'refused', body.message);
  if (options.json) printJson(io, body);
  else printLines(io, describe(body));
  if (body.outcome === 'unconfirmed') return tryLater;
  return body.outcome === 'rotated' ? 0 : 1;
}

function contentOf({ dataFile, generate }: RotateOptions): Buffer {
  if ((dataFile === undefined) === (generate === undefined))
    throw new DaemonError('usage', 'give either --data-file or --generate');
  if (dataFile !== undefined) return read(dataFile);
  const length = Number(generate);
  if (!Number.isInteger(length) || length < shortest || length > longest)
    throw new DaemonError('usage', `--generate takes a length from ${shortest} to ${longest}`);
  return Buffer.from(randomBytes(length).toString('base64url').slice(0, length));
}

function read(file: string): Buffer {
  try {
    const content = readFileSync(file === '-' ? 0 : file);
    if (content.length === 0) throw new DaemonError('source_empty', 'is empty', { subject: file });
    return content;
  } catch (error) {
    if (error instanceof DaemonError) throw error;
    throw new DaemonError('source_missing', `cannot be read: ${systemCode(error)}`, { subject: file });
  }
}

function describe({ outcome, secret, version, revision, message, issues, rejectedBy }: RotationResult): string[] {
  if (outcome !== 'rejected') return [`${outcome}: version ${version} of ${secret}, revision ${revision}: ${message}`];
  return [
    `rejected: ${message}`,
    ...issues.map(({ path, message: what }) => `  ${path ? `${path}: ` : ''}${what}`),
    ...rejectedBy.map(({ name, pid, message: why }) => plainText(`  ${name || '-'} (pid ${pid}): ${why}`)),
    `version ${version} of ${secret} is disabled again; revision ${revision} is served`,
  ];
}
