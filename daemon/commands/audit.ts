import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Reports } from '../admin/reports.ts';
import { daemonUser } from '../checkup/daemon-user.ts';
import { DaemonError } from '../model/errors.ts';
import { type ChainReport, verifyChain } from '../observe/audit-chain.ts';
import { findKeyFile, readKeyRing } from '../ops/key-ring.ts';
import { findOptionsFile, loadOptions } from '../ops/options-file.ts';
import { peekSetting } from '../ops/state-database.ts';
import { askDaemon } from './admin-client.ts';
import { type Io, printJson, printLines, type SharedOptions } from './io.ts';

export interface AuditOptions extends SharedOptions {
  /** Default: the credential `audit-key`, or else `<stateDir>/audit.key`. */
  readonly keyFile?: string;
}

/**
 * Checks every record of the audit log against its HMAC and the record before it, and against what a running daemon says
 * that it wrote. 0 when all is as it was written, 65 when not: the first broken record is named.
 */
export async function verifyAudit(shared: AuditOptions, io: Io): Promise<number> {
  const options = loadOptions(findOptionsFile(shared.config, io.env), io.env);
  const { stateDir } = options;
  const keyFile = shared.keyFile ?? findKeyFile('audit-key', undefined, io.env) ?? join(stateDir, 'audit.key');
  if (!existsSync(keyFile)) {
    const mend = 'name the one that the daemon has, such as its credential audit-key: --key-file';
    throw new DaemonError('key_missing', 'there is no key here', { subject: keyFile, mend });
  }
  const [key] = readKeyRing(keyFile, daemonUser(options));
  const written = await lastWritten(shared, stateDir, io);
  const report = verifyChain(stateDir, key!);
  const problem = problemOf(report, written);
  if (shared.json) printJson(io, { valid: problem === undefined, problem: problem ?? null, ...report });
  else printLines(io, [problem ? `broken: ${problem}` : describe(report)]);
  return problem ? 65 : 0;
}

function describe({ records, first, last }: ChainReport): string {
  return records === 0 ? 'nothing has been written yet' : `whole: ${records} records, ${first} to ${last.seq}`;
}

function problemOf({ broken, last }: ChainReport, written: number): string | undefined {
  if (broken) return `${broken.file}:${broken.line}: ${broken.why}`;
  return last.seq < written
    ? `record ${last.seq} is the last one, and ${written} were written: the end was cut off`
    : undefined;
}

/** The number of the last record that was written, as the daemon says, or where none runs its state folder. */
async function lastWritten(shared: SharedOptions, stateDir: string, io: Io): Promise<number> {
  try {
    const { body } = await askDaemon<ReturnType<Reports['status']>>(shared, io, '/admin/status');
    return body.audit.records;
  } catch (error) {
    if (error instanceof DaemonError) return JSON.parse(peekSetting(stateDir, 'auditHead') ?? '{}').seq ?? 0;
    throw error;
  }
}
