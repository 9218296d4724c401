import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Reports } from '../admin/reports.ts';
import { daemonUser } from '../checkup/daemon-user.ts';
import { DaemonError } from '../model/errors.ts';
import { plainText } from '../model/plain-text.ts';
import { type ChainReport, type Link, verifyChain } from '../observe/audit-chain.ts';
import { type AuditSeries, auditSeries } from '../observe/audit-files.ts';
import { type Lasts, readAnchor, readHead } from '../observe/audit-head.ts';
import { newestRecords } from '../observe/audit-records.ts';
import { findKeyFile, readKeyRing } from '../ops/key-ring.ts';
import { findOptionsFile, loadOptions } from '../ops/options-file.ts';
import { peekSetting } from '../ops/state-database.ts';
import { askDaemon } from './admin-client.ts';
import { type Io, localTime, printJson, printLines, type SharedOptions } from './io.ts';

export interface AuditOptions extends SharedOptions {
  /** Default: the credential `audit-key`, or else `<stateDir>/audit.key`. */
  readonly keyFile?: string;
  /** The last links of another time, such as a line `audit_anchor` of the journal. */
  readonly anchor?: string;
  /** Records shown. Default: 100. */
  readonly limit?: string;
}

/** What was written last and what is known of it from elsewhere. */
interface Known {
  readonly lasts?: Lasts;
  readonly problem?: string | undefined;
  /** Why it is not known, where that is nothing bad. */
  readonly note?: string;
}

/** The newest records of operators and programs, the oldest of them first. */
export async function showAudit({ limit = '100', ...shared }: AuditOptions, io: Io): Promise<number> {
  if (!/^[1-9]\d{0,4}$/.test(limit)) throw new DaemonError('usage', '--limit is a number from 1 to 99999');
  const { stateDir } = loadOptions(findOptionsFile(shared.config, io.env), io.env);
  const records = newestRecords(stateDir, Number(limit));
  if (shared.json) for (const record of records) printJson(io, record);
  else printLines(io, records.map(describeRecord));
  return 0;
}

/**
 * Checks every record of the audit log against its HMAC and the record before it, and against what a running daemon says
 * that it wrote. 0 when all is as it was written, 65 when not: the first broken record is named.
 */
export async function verifyAudit(shared: AuditOptions, io: Io): Promise<number> {
  const options = loadOptions(findOptionsFile(shared.config, io.env), io.env);
  const { stateDir } = options;
  const keyFile = shared.keyFile ?? findKeyFile('audit-key', undefined, io.env) ?? join(stateDir, 'audit.key');
  const anchor = shared.anchor === undefined ? undefined : readAnchor(shared.anchor);
  if (shared.anchor !== undefined && !anchor)
    throw new DaemonError('usage', '--anchor names no record: give the text of a line audit_anchor of the log');
  if (!existsSync(keyFile)) {
    const mend = 'name the one that the daemon has, such as its credential audit-key: --key-file';
    throw new DaemonError('key_missing', 'there is no key here', { subject: keyFile, mend });
  }
  const [key] = readKeyRing(keyFile, daemonUser(options));
  const head = await knownHead(shared, stateDir, key!, io);
  const reports = auditSeries.map((series) => {
    const known = [head.lasts?.[series], anchor?.[series]].filter((link) => link !== undefined);
    const report = verifyChain(stateDir, key!, series, known);
    return { series, report, problem: problemOf(report, known) };
  });
  const hasRecords = reports.some(({ report }) => report.records > 0);
  const problem = reports.find(({ problem: found }) => found)?.problem ?? (hasRecords ? head.problem : undefined);
  const [operators, programs] = reports.map(({ report }) => report);
  const { note } = head;
  const notes = note ? [note] : [];
  if (shared.json)
    printJson(io, {
      valid: problem === undefined,
      problem: problem ?? null,
      ...(note && { note }),
      ...operators,
      programs,
    });
  else printLines(io, problem ? [`broken: ${problem}`] : [...describeAll(operators!, programs!), ...notes]);
  return problem ? 65 : 0;
}

function describeAll(operators: ChainReport, programs: ChainReport): string[] {
  if (operators.records + programs.records === 0) return ['nothing has been written yet'];
  const ofPrograms = programs.records > 0 ? [`${describe(programs)} of programs`] : [];
  return [describe(operators), ...ofPrograms];
}

function describe({ records, first, last }: ChainReport): string {
  return `whole: ${records} records, ${first} to ${last.seq}`;
}

function problemOf({ broken, last }: ChainReport, known: readonly Link[]): string | undefined {
  if (broken) return `${broken.file}:${broken.line}: ${broken.why}`;
  const written = Math.max(0, ...known.map(({ seq }) => seq));
  return last.seq < written
    ? `record ${last.seq} is the last one, and ${written} were written: the end was cut off`
    : undefined;
}

/** The last links that were written, as the daemon says, or where none runs its state folder. */
async function knownHead(shared: SharedOptions, stateDir: string, key: Buffer, io: Io): Promise<Known> {
  try {
    const { body } = await askDaemon<ReturnType<Reports['status']>>(shared, io, '/admin/status');
    const lasts = readAnchor(body.audit.anchor ?? '');
    return lasts ? { lasts } : {};
  } catch (error) {
    if (!(error instanceof DaemonError)) throw error;
    return keptHead(stateDir, key);
  }
}

function keptHead(stateDir: string, key: Buffer): Known {
  try {
    const text = peekSetting(stateDir, 'auditHead');
    if (text === undefined) return { problem: 'its head cannot be read from state.db, so a cut end would not show' };
    return readHead(text, key);
  } catch (error) {
    if (!(error instanceof DaemonError) || error.code !== 'already_running') throw error;
    return { note: 'not checked: whether the end was cut off, for the daemon that runs does not answer this user' };
  }
}

function describeRecord(record: Readonly<Record<string, unknown>>): string {
  const { at, series, seq, what, outcome, by, asker, cause, view, code, why, reason, revision, count } = record;
  const { keys = [], removed = [] } = record as { keys?: readonly string[]; removed?: readonly string[] };
  const who = (by as { name?: string } | undefined)?.name ?? asker;
  const words = [
    cause !== undefined && cause !== what && cause,
    who !== undefined && `by ${who}`,
    view !== undefined && `view ${view}`,
    revision !== undefined && `revision ${revision}`,
    code,
    why,
    reason !== undefined && `"${reason}"`,
    count !== undefined && `${count} records`,
    ...[...keys, ...removed.map((path) => `-${path}`)].slice(0, shownKeys),
    keys.length + removed.length > shownKeys && `and ${keys.length + removed.length - shownKeys} more`,
  ].filter(Boolean);
  return plainText(
    `${localTime(String(at))}  ${marks[series as AuditSeries]}${seq}  ${what} ${outcome}  ${words.join('  ')}`.trimEnd(),
  );
}

const shownKeys = 6;
const marks: Readonly<Record<AuditSeries, string>> = { operators: '#', programs: 'p' };
