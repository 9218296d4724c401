import type { Daemon } from '../daemon.ts';
import { systemClock } from '../ops/clock.ts';
import type { Log } from '../ops/log.ts';
import { TerminalMonitor } from './terminal.ts';

/**
 * Resolves with the reason to stop: SIGTERM, SIGINT, or that the terminal it was started on has hung up. A second one ends
 * the process at once. Any other SIGHUP reloads; signals that come during such a reload give one more together. To be
 * called before the daemon starts, so that no signal finds nobody at home.
 */
export function untilStopped(daemon: Daemon, log: Log): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      resolve(signal);
      for (const second of ['SIGTERM', 'SIGINT'] as const)
        process.on(second, () => process.exit(second === 'SIGTERM' ? 143 : 130));
    });
  }
  const reload = coalesced(() => daemon.reload({ cause: 'signal' }), log);
  const terminal = new TerminalMonitor(systemClock, () => resolve('the terminal has hung up'));
  process.on('SIGHUP', () => {
    if (!terminal.signalled()) reload();
  });
  return promise;
}

function coalesced(task: () => Promise<unknown>, log: Log): () => void {
  let running = false;
  let again = false;
  const run = async () => {
    again = running;
    if (running) return;
    running = true;
    await task().catch((error) =>
      log('error', 'config_reload_failed', `the reload failed: ${error.message}`, { errorType: 'internal' }),
    );
    running = false;
    if (again) await run();
  };
  return () => void run();
}
