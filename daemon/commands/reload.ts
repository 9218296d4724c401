import type { Issue } from '../../schemas/errors.ts';
import type { Reports } from '../admin/reports.ts';
import { askDaemon } from './admin-client.ts';
import { type Io, printJson, printLines, type SharedOptions, table } from './io.ts';

interface Answer {
  readonly status: 'success' | 'error';
  readonly message: string;
  readonly outcome?: string;
  readonly revision?: number;
  readonly changed?: readonly string[];
  readonly removed?: readonly string[];
  readonly valid?: boolean;
  readonly issues?: readonly Issue[];
  readonly subscribers?: ReturnType<Reports['clients']>;
}

/** Reads every source again, waits, and tells the outcome and which subscribers took it. */
export async function reload(
  options: SharedOptions & { readonly reason?: string; readonly dryRun?: boolean },
  io: Io,
): Promise<number> {
  const { reason, dryRun } = options;
  const { body } = await askDaemon<Answer>(options, io, '/admin/reload-config', {
    ...(reason && { reason }),
    ...(dryRun && { dryRun }),
  });
  if (options.json) printJson(io, body);
  else printLines(io, dryRun ? describePreview(body) : describe(body));
  return body.status === 'error' || body.valid === false ? 1 : 0;
}

function describe({
  status,
  message,
  outcome,
  revision,
  changed = [],
  removed = [],
  issues = [],
  subscribers = [],
}: Answer): string[] {
  if (status === 'error') return [`rejected: ${message}`, ...issuesOf(issues)];
  return [
    `${outcome}: revision ${revision}`,
    ...pathsOf(changed, removed),
    ...table(
      subscribers
        .filter(({ observer }) => !observer)
        .map(({ name, pid, state }) => [`  ${name || '-'}`, `pid ${pid}`, state]),
    ),
  ];
}

function describePreview({ valid, changed = [], removed = [], issues = [] }: Answer): string[] {
  if (!valid) return ['would be rejected', ...issuesOf(issues)];
  return [
    changed.length + removed.length === 0 ? 'would change nothing' : 'would change',
    ...pathsOf(changed, removed),
  ];
}

const pathsOf = (changed: readonly string[], removed: readonly string[]) => [
  ...changed.map((path) => `  ~ ${path}`),
  ...removed.map((path) => `  - ${path}`),
];
const issuesOf = (issues: readonly Issue[]) =>
  issues.map(({ path, message }) => `  ${path ? `${path}: ` : ''}${message}`);
