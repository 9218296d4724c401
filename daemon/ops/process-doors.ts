import inspector from 'node:inspector';
import { DaemonError } from '../model/errors.ts';
import type { Profile } from './environment.ts';
import { loadLibc } from './libc.ts';

/** Options of Node that show or write what is in memory, as the beginning of their names. */
const doors = ['--inspect', '--debug', '--heapsnapshot-', '--heap-prof', '--report-', '--experimental-report'];

// From Linux's prctl.h and asm-generic/resource.h.
const PR_SET_DUMPABLE = 4;
const RLIMIT_CORE = 4;

/**
 * Keeps this process from showing its memory: no debugger by signal, no environment in reports, and outside development no
 * core dump and no tracing by other processes of its user. Throws `options_unusable` where Node was started with a debugger
 * or with options that write its memory, except in development.
 */
export function closeProcessDoors(profile: Profile, env: NodeJS.ProcessEnv): void {
  // Node opens its debugger at SIGUSR1 unless somebody listens, which holds without --disable-sigusr1 too.
  process.on('SIGUSR1', () => {});
  Object.assign(process.report ?? {}, { excludeEnv: true });
  if (profile === 'development') return;
  const [open] = openDoors(env, process.execArgv);
  if (open) throw refused(open.option, open.where);
  if (inspector.url() !== undefined) throw refused('a debugger', 'Node');
  forbidDumps();
}

/** Options of Node that would show the memory, and where they were given. */
export function openDoors(
  { NODE_OPTIONS = '' }: NodeJS.ProcessEnv,
  execArgv: readonly string[],
): readonly { readonly option: string; readonly where: string }[] {
  // Node takes quoted options, and `_` for `-`.
  const nameOf = (option: string) => option.replaceAll(/["']/g, '').split('=')[0]!.replaceAll('_', '-');
  const isDoor = (name: string) => doors.some((door) => name.startsWith(door));
  const found = (options: readonly string[], where: string) =>
    options
      .map(nameOf)
      .filter(isDoor)
      .map((option) => ({ option, where }));
  return [...found(NODE_OPTIONS.split(/\s+/), 'NODE_OPTIONS'), ...found(execArgv, "Node's arguments")];
}

/** Nothing where there is no koffi. */
function forbidDumps(): void {
  const libc = loadLibc();
  if (!libc) return;
  libc.func('int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)')(
    PR_SET_DUMPABLE,
    0,
    0,
    0,
    0,
  );
  // struct rlimit { soft, hard }: both 0.
  libc.func('int setrlimit(int resource, const uint8_t *limit)')(RLIMIT_CORE, Buffer.alloc(16));
}

function refused(what: string, subject: string): DaemonError {
  return new DaemonError('options_unusable', `${what} would show the memory, and so the secrets`, {
    subject,
    mend: 'start Node without it, or set environment: development',
  });
}
