import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, lstat, open, readlink, realpath, stat } from 'node:fs/promises';
import { sep } from 'node:path';
import { DaemonError, systemCode } from '../model/errors.ts';
import { type Account, accountName, closeTo, ownAccount } from '../ops/accounts.ts';
import { type Exposure, exposureOf, foldersAbove, mayRead, type Place } from '../ops/file-access.ts';

export interface ReadRules {
  /** How errors name the file; default: its path. */
  readonly name?: string;
  /** Bytes. */
  readonly maxBytes: number;
  /** The folder that the file must lie in after links; `undefined`: anywhere. */
  readonly root?: string;
  /** What to do about a file that others could read or that somebody else owns. */
  readonly modeCheck: 'strict' | 'warn' | 'off';
  /** Who is to read it, when that is not this process: an operator looks for the daemon's user. */
  readonly reader?: Account;
}

export interface ReadResult {
  readonly bytes: Buffer;
  readonly version: string;
  /** Milliseconds from the file's last change until it was read. */
  readonly quietForMs: number;
  readonly warning?: string;
}

/** Tells one state of a file from any other, as far as the file system can. */
export function fileVersion({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}

/** The version of the file that a path leads to now; when there is none the error's code, and the link's own version. */
export async function currentVersion(path: string): Promise<string> {
  try {
    return fileVersion(await stat(path, { bigint: true }));
  } catch (error) {
    const code = systemCode(error) ?? 'unknown';
    const link = missing.has(code) ? await lstat(path, { bigint: true }).catch(() => undefined) : undefined;
    return link ? `${code} ${fileVersion(link)}` : code;
  }
}

/** Whether {@link currentVersion} found a link that leads to no file. */
export function isDangling(version: string): boolean {
  return missing.has(version.split(' ')[0]!) && version.includes(' ');
}

const missing = new Set(['ENOENT', 'ENOTDIR']);

/** Times that a file may change while it is read before that is told as an error. */
const maxTries = 5;

/**
 * Reads a file whole and never torn: opened first and checked after, and read again when it changed meanwhile. Throws
 * `source_missing`, `source_unreadable`, `source_insecure`, `source_too_large` or `source_unsettled`.
 */
export async function readFile(path: string, rules: ReadRules): Promise<ReadResult> {
  for (let tries = 0; tries < maxTries; tries++) {
    const result = await readOnce(path, rules);
    if (result) return result;
  }
  throw new DaemonError('source_unsettled', 'keeps changing while it is read', {
    subject: rules.name ?? path,
    mend: 'write a new file and rename it over',
  });
}

async function readOnce(path: string, rules: ReadRules): Promise<ReadResult | undefined> {
  const { name = path } = rules;
  const file = await openFile(path, name);
  try {
    const before = await file.stat({ bigint: true });
    const warning = await check(path, file.fd, before, rules);
    const bytes = Buffer.allocUnsafe(Number(before.size));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
    const after = await file.stat({ bigint: true });
    const named = await stat(path, { bigint: true }).catch(() => undefined);
    const version = fileVersion(before);
    const isWhole =
      bytesRead === bytes.length && version === fileVersion(after) && named && version === fileVersion(named);
    if (!isWhole) return undefined;
    if (after.nlink === 0n) throw staleMount(name);
    return { bytes, version, quietForMs: Date.now() - Number(after.ctimeNs / 1_000_000n), ...(warning && { warning }) };
  } catch (error) {
    throw explain(error, path, name);
  } finally {
    await file.close();
  }
}

async function openFile(path: string, name: string): Promise<FileHandle> {
  try {
    // Without O_NONBLOCK a FIFO would hold us until somebody writes to it.
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    throw explain(error, path, name);
  }
}

async function check(
  path: string,
  handle: number,
  file: BigIntStats,
  { name = path, root, maxBytes, modeCheck, reader = ownAccount() }: ReadRules,
): Promise<string | undefined> {
  const refuse = (what: string, mend: string) => new DaemonError('source_insecure', what, { subject: name, mend });
  if (!file.isFile()) throw refuse('is not a regular file', 'name a file, not a folder, device, socket or pipe');
  if (root && !(await openedPath(path, handle)).startsWith((await realpath(root)) + sep))
    throw refuse(`leads out of ${root}`, 'put the file itself there, not a link');
  if (Number(file.size) > maxBytes) {
    throw new DaemonError('source_too_large', `has ${file.size} bytes, over limits.fileSize of ${maxBytes}`, {
      subject: name,
      mend: 'raise limits.fileSize or split the file',
    });
  }
  const stats = { uid: Number(file.uid), gid: Number(file.gid), mode: Number(file.mode) };
  if (!mayRead(stats, reader)) throw unreadable(path, name, 'EACCES', reader);
  if (modeCheck === 'off') return undefined;
  const exposure = (await foreignLink(path, reader)) ?? (await exposureTo({ path, stats }, handle, reader));
  if (exposure && modeCheck === 'strict' && !exposure.isOfMount) throw refuse(exposure.what, exposure.mend);
  return exposure && `${name}: ${exposure.what} (${exposure.mend})`;
}

async function exposureTo(file: Place, handle: number, reader: Account): Promise<Exposure | undefined> {
  const folders = await foldersAbove(await openedPath(file.path, handle));
  return exposureOf(file, folders, { reader, groups: 'any' });
}

/** Whoever owns a link chooses what it leads to. */
async function foreignLink(path: string, { uid }: Account): Promise<Exposure | undefined> {
  const link = await lstat(path);
  if (!link.isSymbolicLink() || link.uid === 0 || link.uid === uid) return undefined;
  const what = `is a link of uid ${link.uid}, neither root nor ${accountName(uid)}`;
  return { what, mend: 'replace it', isOfMount: false };
}

/** Where the opened file really is. Asking by its name again could be answered for another file. */
function openedPath(path: string, handle: number): Promise<string> {
  return readlink(`/proc/self/fd/${handle}`).catch(() => realpath(path));
}

function staleMount(subject: string): DaemonError {
  const what = 'is a mount of one file that was replaced on the host; what is read here is the old one';
  return new DaemonError('source_unreadable', what, {
    subject,
    mend: 'mount its folder instead, or restart the container',
  });
}

function explain(error: unknown, path: string, name: string): unknown {
  const code = systemCode(error);
  if (error instanceof DaemonError || code === undefined) return error;
  if (missing.has(code))
    return new DaemonError('source_missing', 'is missing', {
      subject: name,
      mend: 'put it back, or run `hotconf reload` to accept that it is gone',
    });
  return unreadable(path, name, code, ownAccount());
}

function unreadable(path: string, subject: string, code: string, { uid }: Account): DaemonError {
  const mend =
    code === 'ERR_ACCESS_DENIED' ? `start Node with --allow-fs-read=${path}, or its folder` : closeTo(uid, path);
  return new DaemonError('source_unreadable', `cannot be read: ${code}`, { subject, systemCode: code, mend });
}
