import type { Reports } from '../admin/reports.ts';
import { askDaemon } from './admin-client.ts';
import { type Io, printJson, printLines, type SharedOptions } from './io.ts';

/** Which source gave a setting, at which revision, and what it shadows. */
export async function explain(options: SharedOptions & { readonly path: string }, io: Io): Promise<number> {
  const { body } = await askDaemon<ReturnType<Reports['explain']>>(
    options,
    io,
    `/admin/explain?path=${encodeURIComponent(options.path)}`,
  );
  if (options.json) printJson(io, body);
  else {
    printLines(io, [
      `${body.path}${body.secret ? ' (secret)' : ''}`,
      `  from     ${body.from.kind}: ${body.from.name}${body.from.version ? `, version ${body.from.version}` : ''}, since revision ${body.revision}`,
      ...body.shadows.map(({ kind, name }) => `  shadows  ${kind}: ${name}`),
    ]);
  }
  return 0;
}
