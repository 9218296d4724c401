import { readFileSync } from 'node:fs';

/** For sources, state, operators, the log and Node itself. */
const kept = 80;
const atLeast = 4;

/**
 * How many connections of programs the process can have open, by its limit of file descriptors (`RLIMIT_NOFILE`), which
 * leaves enough for everything else. Infinite where the limit is not known.
 */
export function spareDescriptors(limits = ownLimits()): number {
  const [, soft] = /^Max open files +(\d+)/m.exec(limits) ?? [];
  return soft ? Math.max(atLeast, Number(soft) - kept) : Number.POSITIVE_INFINITY;
}

function ownLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'utf8');
  } catch {
    return '';
  }
}
