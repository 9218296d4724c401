import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { DaemonError, systemCode } from '../model/errors.ts';
import { archives, auditFile, chainStart, type Link, lastLink, linkLine } from './audit-chain.ts';

export interface AuditLogParts {
  readonly stateDir: string;
  readonly key: Buffer;
  /** The last link that is known to have been written, kept elsewhere: it shows when the end of the file is cut off. */
  readonly head: { auditHead: Link };
  /** Bytes of one file. */
  readonly maxBytes?: number;
  /** Files kept besides the newest. */
  readonly keep?: number;
}

/**
 * The file `<stateDir>/audit.jsonl`, to which records are added and nothing else: one line each, chained by HMAC. A full
 * file is put aside under the number of its last record. The only writer is the daemon that holds the state folder.
 */
export class AuditLog {
  /** What is not as it was left when it was opened. What is added goes on from what was written, so that the gap stays visible. */
  readonly broken: string | undefined;
  readonly #parts: Required<AuditLogParts>;
  #handle: number | undefined;
  #bytes = 0;
  #last: Link;

  /** Throws the system's error where the file cannot be opened. */
  constructor(parts: AuditLogParts) {
    this.#parts = { maxBytes: 8 * 1024 * 1024, keep: 12, ...parts };
    const { auditHead } = parts.head;
    this.#last = this.#open();
    this.broken = whyBroken(this.#last, auditHead);
    if (this.broken) this.#last = auditHead;
  }

  get last(): Link {
    return this.#last;
  }

  /** Writes records at once, all or none. Throws the system's error, such as ENOSPC. */
  append(records: readonly object[]): void {
    const { key, head, maxBytes } = this.#parts;
    if (this.#bytes > maxBytes) this.#putAside();
    if (!this.#isOpen()) this.#reopen();
    let link = this.#last;
    let text = '';
    for (const record of records) {
      const linked = linkLine(record, link, key);
      link = linked.link;
      text += linked.line;
    }
    this.#write(Buffer.from(text));
    this.#last = link;
    try {
      head.auditHead = link;
    } catch {
      // The record is there. What is kept besides is only behind, and by that hides a cut end of the file at worst.
    }
  }

  close(): void {
    if (this.#handle !== undefined) closeSync(this.#handle);
    this.#handle = undefined;
  }

  /** Half a record would look like tampering, so what did not fit is taken back. */
  #write(bytes: Buffer): void {
    let written = 0;
    try {
      while (written < bytes.length) written += writeSync(this.#handle!, bytes, written);
      this.#bytes += bytes.length;
    } catch (error) {
      ftruncateSync(this.#handle!, this.#bytes);
      throw error;
    }
  }

  get #path(): string {
    return join(this.#parts.stateDir, auditFile);
  }

  /** False too where somebody has taken the file away: what is written to it would be lost. */
  #isOpen(): boolean {
    if (this.#handle === undefined) return false;
    return statSync(this.#path, { throwIfNoEntry: false })?.ino === fstatSync(this.#handle).ino;
  }

  #reopen(): void {
    this.close();
    this.#open();
  }

  /** Returns the link of the last whole record; a torn one, from a daemon that was killed, is cut off. */
  #open(): Link {
    const { O_RDWR, O_CREAT, O_APPEND, O_NOFOLLOW } = constants;
    this.#handle = openSync(this.#path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600);
    const bytes = readFileSync(this.#handle);
    this.#bytes = bytes.lastIndexOf(10) + 1;
    if (this.#bytes < bytes.length) ftruncateSync(this.#handle, this.#bytes);
    const found = lastLink(bytes.toString('utf8', 0, this.#bytes));
    if (found) return found;
    const newest = archives(this.#parts.stateDir).at(-1);
    const before = newest ? lastLink(readFileSync(newest, 'utf8')) : undefined;
    return before ?? chainStart;
  }

  /** Each step may fail, and is tried again with the next record. */
  #putAside(): void {
    const { stateDir, keep } = this.#parts;
    const aside = join(stateDir, `audit-${String(this.#last.seq).padStart(12, '0')}.jsonl`);
    try {
      renameSync(this.#path, aside);
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
    }
    this.#bytes = 0;
    this.close();
    for (const old of archives(stateDir).slice(0, -keep)) rmSync(old, { force: true });
  }
}

/** A daemon that was killed may have written one batch more than it has noted. */
function whyBroken({ seq, hmac }: Link, head: Link): string | undefined {
  if (seq < head.seq) return `its last record is ${seq}, and ${head.seq} was written: its end was cut off`;
  return seq === head.seq && hmac !== head.hmac ? `record ${seq} is another one than was written` : undefined;
}

/** For people: what is wrong, or the code of the system's error. */
export function whyUnwritten(error: unknown): string {
  if (error instanceof DaemonError) return error.message;
  return systemCode(error) ?? (error as Error).message;
}
