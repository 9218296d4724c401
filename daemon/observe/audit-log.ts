import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { DaemonError, systemCode } from '../model/errors.ts';
import { auditFile, chainStart, type Link, linkLine, linkOf } from './audit-chain.ts';

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

/** The longest record. */
const tailBytes = 64 * 1024;

/**
 * The file `<stateDir>/audit.jsonl`, to which records are added and nothing else: one line each, chained by HMAC. A full
 * file is put aside under the number of its last record. The only writer is the daemon that holds the state folder.
 */
export class AuditLog {
  /** What is not as it was left, told once. */
  readonly broken: string | undefined;
  readonly #parts: Required<AuditLogParts>;
  #handle: number | undefined;
  #bytes = 0;
  #last: Link;

  /** Throws the system's error where the file cannot be opened. */
  constructor(parts: AuditLogParts) {
    this.#parts = { maxBytes: 8 * 1024 * 1024, keep: 12, ...parts };
    this.#last = this.#open();
    this.broken = this.#compare(parts.head.auditHead);
    if (this.broken) this.#last = this.#last.seq === 0 ? parts.head.auditHead : this.#last;
  }

  get last(): Link {
    return this.#last;
  }

  /** Writes records at once, all or none. Throws the system's error, such as ENOSPC. */
  append(records: readonly object[]): void {
    const { key, head, maxBytes } = this.#parts;
    if (this.#handle === undefined || this.#bytes > maxBytes) this.#renew();
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

  #path(): string {
    return join(this.#parts.stateDir, auditFile);
  }

  /** Returns the link of the last whole record; a torn one, from a daemon that was killed, is cut off. */
  #open(): Link {
    const { O_RDWR, O_CREAT, O_APPEND, O_NOFOLLOW } = constants;
    this.#handle = openSync(this.#path(), O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600);
    const { size } = fstatSync(this.#handle);
    const buffer = Buffer.alloc(Math.min(size, tailBytes));
    readSync(this.#handle, buffer, 0, buffer.length, size - buffer.length);
    const end = buffer.lastIndexOf(10) + 1;
    this.#bytes = size - buffer.length + end;
    if (this.#bytes < size) ftruncateSync(this.#handle, this.#bytes);
    const start = buffer.lastIndexOf(10, end - 2) + 1;
    const line = buffer.toString('utf8', start, Math.max(start, end - 1));
    return linkOf(line) ?? this.#lastOfArchives();
  }

  #lastOfArchives(): Link {
    const { auditHead } = this.#parts.head;
    const [newest] = this.#archives().reverse();
    return newest !== undefined && Number(/\d+/.exec(newest)![0]) === auditHead.seq ? auditHead : chainStart;
  }

  #archives(): string[] {
    return readdirSync(this.#parts.stateDir)
      .filter((name) => /^audit-\d+\.jsonl$/.test(name))
      .sort();
  }

  #renew(): void {
    const { stateDir, keep, maxBytes } = this.#parts;
    if (this.#bytes > maxBytes) {
      renameSync(this.#path(), join(stateDir, `audit-${String(this.#last.seq).padStart(12, '0')}.jsonl`));
      for (const old of this.#archives().slice(0, -keep)) rmSync(join(stateDir, old), { force: true });
    }
    this.close();
    const last = this.#last;
    this.#open();
    this.#last = last;
  }

  /** A daemon that was killed may have written one batch more than it has noted. */
  #compare(head: Link): string | undefined {
    const { seq, hmac } = this.#last;
    if (seq < head.seq) return `its last record is ${seq}, and ${head.seq} was written: its end was cut off`;
    if (seq === head.seq && hmac !== head.hmac) return `record ${seq} is another one than was written`;
    return undefined;
  }
}

/** For people: what is wrong, or the code of the system's error. */
export function whyUnwritten(error: unknown): string {
  if (error instanceof DaemonError) return error.message;
  return systemCode(error) ?? (error as Error).message;
}
