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
import { systemCode } from '../model/errors.ts';
import { type ChainFields, chainStart, type Link, linkLine, linkOf, openSigned } from './audit-chain.ts';
import { type AuditSeries, archiveFile, archives, currentFile, linesOf } from './audit-files.ts';
import type { SeriesHead } from './audit-head.ts';
import type { AuditReserve } from './audit-reserve.ts';
import { whyBroken } from './audit-resume.ts';

export interface AuditLogParts {
  readonly stateDir: string;
  readonly key: Buffer;
  /** The last link that is known to have been written, kept elsewhere: it shows when the end of the file is cut off. */
  readonly head: SeriesHead;
  /** Default: `operators`. */
  readonly series?: AuditSeries;
  /** Bytes of one file. */
  readonly maxBytes?: number;
  /** Files kept besides the newest. */
  readonly keep?: number;
  /** Used when the disk is full. */
  readonly reserve?: AuditReserve | undefined;
}

/**
 * One series of the audit log, such as the file `<stateDir>/audit.jsonl`, to which records are added and nothing else:
 * one line each, chained by HMAC. A full file is put aside under the number of its last record. The only writer is the
 * daemon that holds the state folder.
 */
export class AuditLog {
  /** What is not as it was left when it was opened. What is added goes on from what was written, so that the gap stays visible. */
  readonly broken: string | undefined;
  readonly #parts: AuditLogParts & Required<Pick<AuditLogParts, 'series' | 'maxBytes' | 'keep'>>;
  #handle: number | undefined;
  #bytes = 0;
  #isReserveWhole: boolean;
  #last: Link;
  /** What each file that is kept begins after, oldest first; the last one is the one that is written to. */
  #begins: readonly Link[] = [chainStart];

  /** Throws the system's error where the file cannot be opened. */
  constructor(parts: AuditLogParts) {
    this.#parts = { maxBytes: 8 * 1024 * 1024, keep: 12, series: 'operators', ...parts };
    const { head, key } = parts;
    const text = this.#open();
    const lines = linesOf(text);
    this.#last = linkOf(lines.at(-1) ?? '') ?? this.#recall(key);
    this.#begins = beginsOf(lines[0], key) ?? this.#begins;
    this.broken = head.problem ?? whyBroken(lines, this.#last, head, key);
    // A number is left out where nobody knows how many records there were.
    if (head.problem) this.#last = { seq: this.#last.seq + 1, hmac: '' };
    else if (this.broken && this.#last.seq <= head.auditHead.seq) this.#last = head.auditHead;
    this.#isReserveWhole = parts.reserve?.fill() ?? true;
  }

  get last(): Link {
    return this.#last;
  }

  /** Writes records at once, all or none. Throws the system's error, such as ENOSPC. */
  append(records: readonly object[]): void {
    const { key, head, maxBytes, reserve } = this.#parts;
    if (!this.#isReserveWhole) this.#isReserveWhole = reserve!.fill();
    if (this.#bytes > maxBytes) this.#putAside();
    if (!this.#isOpen()) this.#reopen();
    const begins = this.#bytes === 0 && this.#last.seq > 0 ? this.#nextBegins() : undefined;
    const { count } = head;
    let link = this.#last;
    let text = '';
    for (const [i, record] of records.entries()) {
      const fields = { ...(count !== undefined && { head: count }), ...(i === 0 && begins && { begins }) };
      const linked = linkLine({ ...record, ...fields }, link, key);
      link = linked.link;
      text += linked.line;
    }
    this.#write(Buffer.from(text));
    this.#last = link;
    if (begins) this.#begins = begins;
    try {
      head.auditHead = link;
    } catch {
      // The record is there. What is kept besides is only behind, and by that hides a cut end of the file at worst.
    }
    if (begins) this.#removeOld();
  }

  close(): void {
    if (this.#handle !== undefined) closeSync(this.#handle);
    this.#handle = undefined;
  }

  #write(bytes: Buffer): void {
    for (;;) {
      try {
        this.#writeWhole(bytes);
        return;
      } catch (error) {
        const isFull = ['ENOSPC', 'EDQUOT'].includes(systemCode(error) ?? '');
        if (!isFull || !this.#parts.reserve?.release()) throw error;
        this.#isReserveWhole = false;
      }
    }
  }

  /** Half a record would look like tampering, so what did not fit is taken back. */
  #writeWhole(bytes: Buffer): void {
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
    return currentFile(this.#parts.stateDir, this.#parts.series);
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

  /** Returns the whole records of the file; a torn one, from a daemon that was killed, is cut off. */
  #open(): string {
    const { O_RDWR, O_CREAT, O_APPEND, O_NOFOLLOW } = constants;
    this.#handle = openSync(this.#path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600);
    const bytes = readFileSync(this.#handle);
    this.#bytes = bytes.lastIndexOf(10) + 1;
    if (this.#bytes < bytes.length) ftruncateSync(this.#handle, this.#bytes);
    return bytes.toString('utf8', 0, this.#bytes);
  }

  /** The last link before an empty file. */
  #recall(key: Buffer): Link {
    const newest = archives(this.#parts.stateDir, this.#parts.series).at(-1);
    const lines = newest ? linesOf(readFileSync(newest, 'utf8')) : [];
    this.#begins = beginsOf(lines[0], key) ?? this.#begins;
    return linkOf(lines.at(-1) ?? '') ?? chainStart;
  }

  /** Known by what was written and not by what is found, so that a file that is taken away is missed. */
  #nextBegins(): readonly Link[] {
    const known = this.#begins.at(-1)!.seq === this.#last.seq ? this.#begins.slice(0, -1) : this.#begins;
    return [...known, this.#last].slice(-(this.#parts.keep + 1));
  }

  #putAside(): void {
    const { stateDir, series } = this.#parts;
    try {
      renameSync(this.#path, archiveFile(stateDir, series, this.#last.seq));
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
    }
    this.#bytes = 0;
    this.close();
  }

  /** Only when the new file says where the oldest one begins. What fails is tried again with the next file. */
  #removeOld(): void {
    const { stateDir, series, keep } = this.#parts;
    try {
      for (const old of archives(stateDir, series).slice(0, -keep)) rmSync(old, { force: true });
    } catch {
      // What is kept too long harms nothing.
    }
  }
}

function beginsOf(line: string | undefined, key: Buffer): readonly Link[] | undefined {
  return (openSigned(line ?? '', key) as ChainFields | undefined)?.begins;
}
