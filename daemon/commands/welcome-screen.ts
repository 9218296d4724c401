import { relative } from 'node:path';
import type { Reports } from '../admin/reports.ts';
import type { Options } from '../ops/options.ts';
import { adminSocket, viewSocket } from '../ops/socket-paths.ts';

/** What a person sees who has just started the daemon: what it watches, where it is, and what to try. */
export function welcomeScreen(options: Options, summary: ReturnType<Reports['summary']>): string {
  const { sources, revision, secretsLoaded, hotReloadEnabled } = summary;
  const secrets = sources.find(({ kind }) => kind === 'files')?.reads[0];
  const lines = [
    `hotconf serves revision ${revision} (${options.environment}): ${secretsLoaded} secrets from ${sources.length} sources`,
    '',
    ...sources.map(
      ({ reads, kind, watch }, i) =>
        `  ${i === 0 ? (hotReloadEnabled ? 'watching' : 'reading ') : '        '}  ${kind.padEnd(8)} ${reads.join(', ')}${watch === 'polling' ? ' (polled)' : ''}`,
    ),
    ...options.views.map(
      ({ name }, i) => `  ${i === 0 ? 'programs' : '        '}  ${shown(viewSocket(options, name))}`,
    ),
    `  operator  ${shown(adminSocket(options))}`,
    '',
    ...(hotReloadEnabled
      ? [
          '  In a second terminal:   npx hotconf watch',
          `  Then edit and save a file${secrets ? ` in ${secrets}` : ''}: the change appears there.`,
        ]
      : [
          '  Hot reload is off: `hotReload: true` in the options file turns it on (CONFIG_HOT_RELOAD beats that).',
          '  Until then:             npx hotconf reload',
        ]),
    '  Ctrl-C stops.',
    '',
  ];
  return `\n${lines.join('\n')}\n`;
}

function shown(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith('..') ? path : short;
}
