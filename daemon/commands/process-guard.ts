import type { Daemon } from '../daemon.ts';
import type { Log } from '../ops/log.ts';

/**
 * What no part of ours caught, mostly a library's: a daemon that serves a snapshot goes on, logs its name and code,
 * counts it and is degraded. Before that it ends by 70. Its message and its stack's first line are told nowhere, for they
 * may quote a secret. To be called once, before the daemon starts.
 */
export function guardProcess(daemon: () => Daemon | undefined, log: Log, stderr: NodeJS.WriteStream): void {
  const onUncaught = (kind: 'exception' | 'rejection') => (error: unknown) => {
    const facts = describeUncaught(error);
    const what = `an uncaught ${kind}: ${facts.errorType}${facts.code ? ` ${facts.code}` : ''}`;
    log('error', 'unexpected_error', what, { ...facts, kind });
    if (daemon()?.survive(what)) return;
    stderr.write(`hotconf: this is a bug, please report it: ${what}${facts.at ? `, ${facts.at}` : ''}\n`);
    process.exit(70);
  };
  process.on('uncaughtException', onUncaught('exception'));
  process.on('unhandledRejection', onUncaught('rejection'));
  // Node itself would write them to stderr as they are.
  process.removeAllListeners('warning');
  process.on('warning', ({ name, code }: Error & { code?: string }) => {
    if (name !== 'ExperimentalWarning')
      log('warn', 'process_warning', `a warning of Node or a library: ${name}`, { code });
  });
}

function describeUncaught(error: unknown): { errorType: string; code?: string; at?: string } {
  if (!(error instanceof Error)) return { errorType: typeof error };
  const { code } = error as NodeJS.ErrnoException;
  const at = /^ {4}(at .*)$/m.exec(error.stack?.slice(error.stack.indexOf('\n    at ')) ?? '')?.[1];
  return { errorType: error.name, ...(code !== undefined && { code: String(code) }), ...(at && { at }) };
}
