import { createHmac, timingSafeEqual } from 'node:crypto';
import { type AuditSeries, lineTexts, seriesFiles } from './audit-files.ts';

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

export const chainStart: Link = { seq: 0, hmac: '' };
// JSON has line separators of Unicode as they are, and `.` alone stops at them.
const tail = /^(.*),"hmac":"([0-9a-f]{64})"\}$/s;

/**
 * One line of the audit log. Its HMAC-SHA-256 is over the line's own text up to the HMAC, in which the HMAC of the
 * record before it stands as `prev`: `{"seq":2,...,"prev":"<hex>","hmac":"<hex>"}`.
 */
export function linkLine(record: object, { seq, hmac: prev }: Link, key: Buffer): { line: string; link: Link } {
  const { line, hmac } = signedText({ seq: seq + 1, ...record, prev }, key);
  return { line: `${line}\n`, link: { seq: seq + 1, hmac } };
}

/** The JSON of a value whose last field, `hmac`, is over the text before it. */
export function signedText(value: object, key: Buffer): { line: string; hmac: string } {
  const text = JSON.stringify(value).slice(0, -1);
  const hmac = sign(text, key);
  return { line: `${text},"hmac":"${hmac}"}`, hmac };
}

/** What {@link signedText} was made of; `undefined` where it was changed or made with another key. */
export function openSigned(line: string, key: Buffer): unknown {
  const [, text, hmac] = tail.exec(line) ?? [];
  if (text === undefined || !timingSafeEqual(Buffer.from(sign(text, key)), Buffer.from(hmac!))) return undefined;
  return JSON.parse(`${text}}`);
}

/** The link of a line, not checked; `undefined` where it is no record. */
export function linkOf(line: string): Link | undefined {
  const [, text, hmac] = tail.exec(line) ?? [];
  const [, seq] = /^\{"seq":(\d+),/.exec(text ?? '') ?? [];
  return seq && hmac ? { seq: Number(seq), hmac } : undefined;
}

/** The fields of a record that the chain itself is made of. */
export interface ChainFields {
  readonly prev: string;
  /** How often the head had been noted when this was written. */
  readonly head?: number;
  /** With the first record of a file: what each file that is kept begins after, oldest first. */
  readonly begins?: readonly Link[];
}

/** Why a line does not follow a link; else its fields. `before` is `undefined` where that link is not known. */
export function follow(line: string, before: Link | undefined, key: Buffer): string | ChainFields {
  const link = linkOf(line);
  if (!link) return 'is no record';
  const fields = openSigned(line, key) as ChainFields | undefined;
  if (!fields) return 'was changed, or has another key';
  if (!before) return fields;
  if (link.seq !== before.seq + 1) return `follows ${before.seq} and is ${link.seq}: records are missing`;
  return fields.prev === before.hmac ? fields : 'is bound to another record than the one before it';
}

/**
 * Checks every record of a series against its own HMAC and the one before it, that the first one is where the newest
 * file says that it is, and that the `known` links are in it where they are not older than what is kept. A file that is
 * gone is an empty one. Throws `source_unreadable` for one that cannot be read.
 */
export function verifyChain(
  stateDir: string,
  key: Buffer,
  series: AuditSeries = 'operators',
  known: readonly Link[] = [],
): ChainReport {
  let [records, first, last]: [number, number, Link] = [0, 0, chainStart];
  let begin = { file: '', after: chainStart };
  let mustBegin = chainStart;
  for (const file of seriesFiles(stateDir, series)) {
    for (const [i, line] of lineTexts(file).entries()) {
      const fields = follow(line, records > 0 ? last : undefined, key);
      const report = (why: string) => ({ records, first, last, broken: { file, line: i + 1, why } });
      if (typeof fields === 'string') return report(fields);
      const link = linkOf(line)!;
      const other = known.find(({ seq, hmac }) => seq === link.seq && hmac !== link.hmac);
      if (other) return report(`is another record ${link.seq} than was written`);
      if (records === 0) begin = { file, after: { seq: link.seq - 1, hmac: fields.prev } };
      mustBegin = fields.begins?.[0] ?? mustBegin;
      last = link;
      if (++records === 1) first = link.seq;
    }
  }
  const why = records > 0 ? whyBeginsWrong(begin.after, mustBegin) : undefined;
  return { records, first, last, ...(why && { broken: { file: begin.file, line: 1, why } }) };
}

/** What is older than it must be was kept longer than it must be. */
function whyBeginsWrong(found: Link, expected: Link): string | undefined {
  if (found.seq > expected.seq) return `is ${found.seq + 1}: the beginning is missing, from ${expected.seq + 1}`;
  return found.seq === expected.seq && found.hmac !== expected.hmac ? 'does not begin the chain' : undefined;
}

function sign(text: string, key: Buffer): string {
  return createHmac('sha256', key).update(text).digest('hex');
}
