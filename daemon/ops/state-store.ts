import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type { Delivery, ExpectedProgram, Pin, Refusal, ReloadRecord } from '../model/snapshot.ts';
import {
  assertWhole,
  DamagedState,
  explainStateError,
  isDamaged,
  makeStateFolder,
  openStateDatabase,
} from './state-database.ts';

/** Records kept; the oldest go first. What programs cause has a share of its own, and removes nothing else. */
const keptRecords = 1_000;
const keptOfPrograms = 200;
/** Records are read at once, and that must not take long. */
const maxReadBytes = 4 * 1024 * 1024;

/** The last commit, as far as it may be kept without its content. */
export interface LastCommit {
  readonly revision: number;
  readonly committedAt: string;
  /** HMAC-SHA-256 of the settings' digest under a key of this state folder: tells "the same" and nothing else. */
  readonly mark: string;
}

/**
 * The state folder: the epoch, the last revision and the history, in one SQLite file, and the lock that keeps a second
 * daemon away. The lock is SQLite's exclusive one, which the kernel drops with the process, `kill -9` included.
 *
 * Writes are handed to the kernel, not to the disk: a killed daemon loses nothing. After a power cut the last ones may
 * be gone, but so are the programs that had seen them, for sockets do not leave the host.
 */
export class StateStore {
  readonly epoch: string;
  /** Where the database was put that was damaged at this start. */
  damaged: string | undefined;
  readonly #db: DatabaseSync;
  readonly #key: Buffer;

  /** Throws `already_running` naming the holder, `cannot_create` or `not_permitted`. */
  static open(folder: string): StateStore {
    makeStateFolder(folder);
    const file = join(folder, 'state.db');
    const isOld = existsSync(file);
    let db: DatabaseSync | undefined;
    try {
      db = openStateDatabase(file);
      return new StateStore(folder, db, isOld);
    } catch (error) {
      db?.close();
      if (isDamaged(error)) {
        // Starting a new epoch is safe, so a damaged file is put aside, never repaired in place and never deleted.
        const aside = `.damaged-${Date.now()}`;
        for (const part of [file, `${file}-wal`]) if (existsSync(part)) renameSync(part, part + aside);
        const store = StateStore.open(folder);
        store.damaged = file + aside;
        store.isRecovering = true;
        return store;
      }
      throw explainStateError(error, folder, file);
    }
  }

  private constructor(folder: string, db: DatabaseSync, isOld: boolean) {
    this.#db = db;
    if (isOld) assertWhole(db);
    this.epoch = this.#setting('epoch', () => randomUUID());
    this.#key = Buffer.from(
      this.#setting('key', () => randomBytes(32).toString('base64')),
      'base64',
    );
    const mark = this.mark(this.epoch);
    // A changed byte of the epoch itself is another epoch otherwise.
    if (this.#setting('epochMark', () => mark) !== mark) throw new DamagedState();
    // Made new, so that no link is followed that somebody has put there.
    const holder = join(folder, 'holder.json');
    rmSync(holder, { force: true });
    const holds = JSON.stringify({ pid: process.pid, since: new Date().toISOString() });
    writeFileSync(holder, holds, { mode: 0o600, flag: 'wx' });
  }

  /** The database was damaged, and nothing has been kept of this epoch yet. */
  get isRecovering(): boolean {
    return this.#read('recovering') === 'yes';
  }

  set isRecovering(isRecovering: boolean) {
    this.#write('recovering', isRecovering ? 'yes' : '');
  }

  get lastCommit(): LastCommit | undefined {
    const text = this.#read('lastCommit');
    return text === undefined ? undefined : JSON.parse(text);
  }

  /** The mark of a digest, for comparing with the one of the last commit. */
  mark(digest: string): string {
    return createHmac('sha256', this.#key).update(digest).digest('base64');
  }

  saveCommit(revision: number, committedAt: string, digest: string): void {
    this.#write('lastCommit', JSON.stringify({ revision, committedAt, mark: this.mark(digest) }));
  }

  /** Adds a record and returns its name, for {@link setDelivery}. */
  addRecord(record: ReloadRecord, isOfPrograms = false): number {
    const ofPrograms = isOfPrograms ? 1 : 0;
    const insert = 'INSERT INTO history (record, of_programs) VALUES (?, ?)';
    const { lastInsertRowid } = this.#db.prepare(insert).run(JSON.stringify(record), ofPrograms);
    const oldest = 'SELECT id FROM history WHERE of_programs = ? ORDER BY id DESC LIMIT 1 OFFSET ?';
    this.#db
      .prepare(`DELETE FROM history WHERE of_programs = ? AND id <= (${oldest})`)
      .run(ofPrograms, ofPrograms, isOfPrograms ? keptOfPrograms : keptRecords);
    return Number(lastInsertRowid);
  }

  /** Adds one to a number in the newest record; false where there is no record. */
  countInRecord(field: 'repeated' | 'programReloads'): boolean {
    const path = `$.${field}`;
    const sql =
      'UPDATE history SET record = json_set(record, ?, coalesce(json_extract(record, ?), 0) + 1) WHERE id = (SELECT max(id) FROM history)';
    return this.#db.prepare(sql).run(path, path).changes === 1;
  }

  /** Completes a record with how the programs took it. */
  setDelivery(id: number, delivery: Delivery): void {
    const sql = "UPDATE history SET record = json_set(record, '$.delivery', json(?)) WHERE id = ?";
    this.#db.prepare(sql).run(JSON.stringify(delivery), id);
  }

  /** The revision that is pinned, if one is. */
  get pin(): Pin | undefined {
    const text = this.#read('pin');
    return text ? JSON.parse(text) : undefined;
  }

  set pin(pin: Pin | undefined) {
    this.#write('pin', pin ? JSON.stringify(pin) : '');
  }

  /** New contents that programs refused; the newest first. */
  get refusals(): readonly Refusal[] {
    return JSON.parse(this.#read('refusals') ?? '[]');
  }

  set refusals(refusals: readonly Refusal[]) {
    this.#write('refusals', JSON.stringify(refusals));
  }

  /** Programs that were connected and did not say goodbye. */
  get expected(): readonly ExpectedProgram[] {
    return JSON.parse(this.#read('expected') ?? '[]');
  }

  set expected(expected: readonly ExpectedProgram[]) {
    this.#write('expected', JSON.stringify(expected));
  }

  /** The programs that run what is staged, as `view/name`. */
  get staged(): readonly string[] {
    return JSON.parse(this.#read('staged') ?? '[]');
  }

  set staged(staged: readonly string[]) {
    this.#write('staged', JSON.stringify(staged));
  }

  /** Of the last known good that was written last. */
  get generation(): number {
    return Number(this.#read('generation') ?? 0);
  }

  set generation(generation: number) {
    this.#write('generation', String(generation));
  }

  /** The head of the audit log, as it was set. */
  get auditHead(): string | undefined {
    return this.#read('auditHead');
  }

  set auditHead(head: string) {
    this.#write('auditHead', head);
  }

  /** The newest records, newest first; fewer where they are very long. */
  records(limit = keptRecords + keptOfPrograms): ReloadRecord[] {
    const rows = this.#db.prepare('SELECT record FROM history ORDER BY id DESC LIMIT ?').iterate(limit);
    const records: ReloadRecord[] = [];
    let bytes = 0;
    for (const { record } of rows) {
      const text = String(record);
      bytes += text.length;
      if (bytes > maxReadBytes && records.length > 0) break;
      records.push(JSON.parse(text));
    }
    return records;
  }

  close(): void {
    this.#db.close();
  }

  #setting(name: string, create: () => string): string {
    const known = this.#read(name);
    if (known !== undefined) return known;
    const value = create();
    this.#write(name, value);
    return value;
  }

  #read(name: string): string | undefined {
    const row = this.#db.prepare('SELECT value FROM state WHERE name = ?').get(name);
    return row === undefined ? undefined : String(row.value);
  }

  #write(name: string, value: string): void {
    this.#db.prepare('INSERT OR REPLACE INTO state (name, value) VALUES (?, ?)').run(name, value);
  }
}
