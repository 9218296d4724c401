import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { DaemonError, systemCode } from '../model/errors.ts';
import { ownAccount } from './accounts.ts';
import { folderProblem } from './folder-access.ts';

/** Makes it, or checks the one that is there. Throws `cannot_create` or `not_permitted`. */
export function makeStateFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    const mend = 'choose another stateDir, or make the folder yourself';
    throw new DaemonError('cannot_create', `the state folder cannot be made: ${systemCode(error)}`, {
      subject: folder,
      mend,
    });
  }
  const problem = folderProblem(folder, ownAccount());
  if (problem)
    throw new DaemonError('not_permitted', `the state folder ${problem.what}`, { subject: folder, mend: problem.mend });
}

/** Opens the state folder's database and its lock, which the kernel drops with the process. */
export function openStateDatabase(file: string): DatabaseSync {
  const umask = process.umask(0o077);
  try {
    const db = new DatabaseSync(file);
    try {
      db.exec(
        'PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; BEGIN EXCLUSIVE; COMMIT',
      );
      db.exec('CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT');
      db.exec('CREATE TABLE IF NOT EXISTS history (id INTEGER PRIMARY KEY AUTOINCREMENT, record TEXT NOT NULL) STRICT');
      const columns = db.prepare("SELECT name FROM pragma_table_info('history')").all();
      // A file of an earlier version has none.
      if (!columns.some(({ name }) => name === 'of_programs'))
        db.exec('ALTER TABLE history ADD COLUMN of_programs INTEGER NOT NULL DEFAULT 0');
      db.exec('CREATE INDEX IF NOT EXISTS history_of_programs ON history (of_programs, id)');
      return db;
    } catch (error) {
      db.close();
      throw error;
    }
  } finally {
    process.umask(umask);
  }
}

/** One setting of a state folder; `undefined` where it cannot be read. Throws `already_running` while a daemon holds it. */
export function peekSetting(folder: string, name: string): string | undefined {
  try {
    const db = new DatabaseSync(join(folder, 'state.db'), { readOnly: true });
    try {
      const row = db.prepare('SELECT value FROM state WHERE name = ?').get(name);
      return row === undefined ? undefined : String(row.value);
    } finally {
      db.close();
    }
  } catch (error) {
    if (isLocked(error)) throw explainStateError(error, folder, '');
    return undefined;
  }
}

/** The database can be opened, and does not hold what was written. */
export class DamagedState extends Error {}

/** Settings whose text is JSON where there is any. */
const jsonSettings = ['lastCommit', 'pin', 'refusals', 'expected', 'staged', 'auditHead'];

/** Throws {@link DamagedState} for a database whose structure or content was changed by something else than us. */
export function assertWhole(db: DatabaseSync): void {
  const count = (sql: string, ...values: string[]) => Number(Object.values(db.prepare(sql).get(...values)!)[0]);
  const names = jsonSettings.map(() => '?').join();
  const isWhole =
    db.prepare('PRAGMA quick_check(1)').get()?.quick_check === 'ok' &&
    count("SELECT count(*) FROM state WHERE name = 'epoch'") === 1 &&
    count(
      `SELECT count(*) FROM state WHERE name IN (${names}) AND value <> '' AND NOT json_valid(value)`,
      ...jsonSettings,
    ) === 0 &&
    count("SELECT count(*) FROM state WHERE name = 'generation' AND value GLOB '*[^0-9]*'") === 0 &&
    count('SELECT count(*) FROM history WHERE NOT json_valid(record)') === 0;
  if (!isWhole) throw new DamagedState();
}

// SQLite's result codes: https://sqlite.org/rescode.html
const resultCode = (error: unknown) => ((error as { errcode?: number }).errcode ?? 0) & 0xff;
/** The file is no database any more. */
export const isDamaged = (error: unknown) => error instanceof DamagedState || [11, 26].includes(resultCode(error));
/** Another connection holds it. */
export const isLocked = (error: unknown) => [5, 6].includes(resultCode(error));

/** What a failed opening means: `already_running` naming the holder, or `not_permitted`. */
export function explainStateError(error: unknown, folder: string, file: string): unknown {
  if (error instanceof DaemonError) return error;
  if (isLocked(error)) {
    const mend = 'stop that one first, or give this one a stateDir of its own';
    return new DaemonError('already_running', `another hotconf daemon holds this state folder: ${holder(folder)}`, {
      subject: folder,
      mend,
    });
  }
  const what = `cannot be written: ${systemCode(error) ?? 'unknown error'}`;
  return new DaemonError('not_permitted', what, {
    subject: file,
    mend: 'make the state folder writable for this user',
    cause: error,
  });
}

function holder(folder: string): string {
  try {
    const { pid, since } = JSON.parse(readFileSync(join(folder, 'holder.json'), 'utf8'));
    return `pid ${Number(pid)}, since ${String(since)}`;
  } catch {
    return 'its pid is not known';
  }
}
