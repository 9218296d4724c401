import { createHmac, timingSafeEqual } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DaemonError, systemCode } from '../model/errors.ts';

/** The last link of a chain: what the next record is bound to. */
export interface Link {
  /** 0 before the first record. */
  readonly seq: number;
  /** Hexadecimal. */
  readonly hmac: string;
}

export interface ChainReport {
  readonly records: number;
  readonly first: number;
  readonly last: Link;
  /** The first record that is not as it was written. */
  readonly broken?: { readonly file: string; readonly line: number; readonly why: string };
}

export const auditFile = 'audit.jsonl';
export const chainStart: Link = { seq: 0, hmac: '' };
// JSON has line separators of Unicode as they are, and `.` alone stops at them.
const tail = /^(.*),"hmac":"([0-9a-f]{64})"\}$/s;

/**
 * One line of the audit log. Its HMAC-SHA-256 is over the line's own text up to the HMAC, in which the HMAC of the
 * record before it stands as `prev`: `{"seq":2,...,"prev":"<hex>","hmac":"<hex>"}`.
 */
export function linkLine(record: object, { seq, hmac: prev }: Link, key: Buffer): { line: string; link: Link } {
  const text = JSON.stringify({ seq: seq + 1, ...record, prev }).slice(0, -1);
  const hmac = sign(text, key);
  return { line: `${text},"hmac":"${hmac}"}\n`, link: { seq: seq + 1, hmac } };
}

/** The link of the last line of a text, whatever it is worth; `undefined` where that is no record. */
export function lastLink(text: string): Link | undefined {
  const end = text.endsWith('\n') ? text.length - 1 : text.length;
  return linkOf(text.slice(text.lastIndexOf('\n', end - 1) + 1, end));
}

function linkOf(line: string): Link | undefined {
  const [, text, hmac] = tail.exec(line) ?? [];
  const [, seq] = /^\{"seq":(\d+),/.exec(text ?? '') ?? [];
  return seq && hmac ? { seq: Number(seq), hmac } : undefined;
}

/** The files of a state folder's audit log that are full, oldest first. */
export function archives(stateDir: string): string[] {
  const names = readdirSync(stateDir).filter((name) => /^audit-\d+\.jsonl$/.test(name));
  return names.sort().map((name) => join(stateDir, name));
}

/**
 * Checks every record against its own HMAC and the one before it. A file that is gone is an empty one. Throws
 * `source_unreadable` for one that cannot be read.
 */
export function verifyChain(stateDir: string, key: Buffer): ChainReport {
  let last: Link | undefined;
  let records = 0;
  let first = 0;
  const full = archives(stateDir);
  for (const file of [...full, join(stateDir, auditFile)]) {
    for (const [i, line] of readLines(file).entries()) {
      const link = linkOf(line);
      const why = link ? whyBroken(line, link, last, key, full.length > 0) : 'is no record';
      if (why) return { records, first, last: last ?? chainStart, broken: { file, line: i + 1, why } };
      last = link;
      records++;
      if (records === 1) first = link!.seq;
    }
  }
  return { records, first, last: last ?? chainStart };
}

function whyBroken(
  line: string,
  link: Link,
  before: Link | undefined,
  key: Buffer,
  mayBeginLate: boolean,
): string | undefined {
  const text = tail.exec(line)![1]!;
  if (!timingSafeEqual(Buffer.from(sign(text, key)), Buffer.from(link.hmac))) return 'was changed, or has another key';
  const { prev } = JSON.parse(`${text}}`) as { prev: string };
  // What came before the oldest full file that is kept is not known any more.
  if (!before && link.seq > 1) return mayBeginLate ? undefined : `is ${link.seq}: the beginning is missing`;
  if (!before) return prev === '' ? undefined : 'does not begin the chain';
  if (link.seq !== before.seq + 1) return `follows ${before.seq} and is ${link.seq}: records are missing`;
  return prev === before.hmac ? undefined : 'is bound to another record than the one before it';
}

function readLines(file: string): string[] {
  try {
    const lines = readFileSync(file, 'utf8').split('\n');
    return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw new DaemonError('source_unreadable', `cannot be read: ${systemCode(error)}`, {
      subject: file,
      mend: "run it as the daemon's user",
    });
  }
}

function sign(text: string, key: Buffer): string {
  return createHmac('sha256', key).update(text).digest('hex');
}
