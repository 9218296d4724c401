import { type AuditSeries, auditSeries, lineTexts, seriesFiles } from './audit-files.ts';

/** A record as it was written, and where. */
export type ShownRecord = Readonly<Record<string, unknown>> & { readonly series: AuditSeries; readonly at: string };

/** The newest records of all series, by time, the oldest of them first. Nothing is checked. Throws `source_unreadable`. */
export function newestRecords(stateDir: string, limit: number): ShownRecord[] {
  const all = auditSeries.flatMap((series) => newestOf(stateDir, series, limit));
  return all.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0)).slice(-limit);
}

function newestOf(stateDir: string, series: AuditSeries, limit: number): ShownRecord[] {
  let found: ShownRecord[] = [];
  for (const file of seriesFiles(stateDir, series).reverse()) {
    const missing = limit - found.length;
    if (missing <= 0) break;
    found = [
      ...lineTexts(file)
        .slice(-missing)
        .flatMap((line) => parse(line, series)),
      ...found,
    ];
  }
  return found;
}

function parse(line: string, series: AuditSeries): ShownRecord[] {
  try {
    const { prev: _, hmac: _hmac, begins: _begins, head: _head, ...record } = JSON.parse(line);
    return [{ series, ...record, at: String(record.at) }];
  } catch {
    return [];
  }
}
