import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DaemonError, systemCode } from '../model/errors.ts';

/** What operators do and what changes, or what programs and strangers cause: each has files of its own. */
export type AuditSeries = 'operators' | 'programs';

export const auditSeries: readonly AuditSeries[] = ['operators', 'programs'];
const names: Readonly<Record<AuditSeries, string>> = { operators: 'audit', programs: 'audit-programs' };

/** The file that records of a series are added to. */
export function currentFile(stateDir: string, series: AuditSeries): string {
  return join(stateDir, `${names[series]}.jsonl`);
}

/** The name of a full file whose last record has this number. */
export function archiveFile(stateDir: string, series: AuditSeries, seq: number): string {
  return join(stateDir, `${names[series]}-${String(seq).padStart(12, '0')}.jsonl`);
}

/** The files of a series that are full, oldest first. */
export function archives(stateDir: string, series: AuditSeries): string[] {
  const pattern = new RegExp(`^${names[series]}-\\d+\\.jsonl$`);
  const found = readdirSync(stateDir).filter((name) => pattern.test(name));
  return found.sort().map((name) => join(stateDir, name));
}

/** All files of a series, oldest first. */
export function seriesFiles(stateDir: string, series: AuditSeries): string[] {
  return [...archives(stateDir, series), currentFile(stateDir, series)];
}

/** The lines of a file; none where it is not there. Throws `source_unreadable`. */
export function lineTexts(file: string): string[] {
  try {
    return linesOf(readFileSync(file, 'utf8'));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw new DaemonError('source_unreadable', `cannot be read: ${systemCode(error)}`, {
      subject: file,
      mend: "run it as the daemon's user",
    });
  }
}

/** The lines of a text that ends with a line break, or should. */
export function linesOf(text: string): string[] {
  const lines = text.split('\n');
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
}
