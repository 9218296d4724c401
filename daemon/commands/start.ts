import { Daemon } from '../daemon.ts';
import { systemClock } from '../ops/clock.ts';
import { createLog } from '../ops/log.ts';
import type { Options } from '../ops/options.ts';
import { findOptionsFile, loadOptions } from '../ops/options-file.ts';
import { optionsExposure } from '../ops/options-trust.ts';
import { closeProcessDoors } from '../ops/process-doors.ts';
import { Redaction } from '../ops/redaction.ts';
import { adminSocket, viewSocket } from '../ops/socket-paths.ts';
import type { Io, SharedOptions } from './io.ts';
import { guardProcess } from './process-guard.ts';
import { untilStopped } from './signals.ts';
import { welcomeScreen } from './welcome-screen.ts';

/** What a library still holds after everything has stopped, such as a connection that hangs, may take so long. */
const lingerMs = 2_000;

/** Runs the daemon until it is told to stop. */
export async function start(shared: SharedOptions, io: Io): Promise<number> {
  try {
    return await run(shared, io);
  } finally {
    setTimeout(() => process.exit(), lingerMs).unref();
  }
}

async function run(shared: SharedOptions, io: Io): Promise<number> {
  const options = loadOptions(findOptionsFile(shared.config, io.env), io.env);
  closeProcessDoors(options.profile, io.env);
  const format = options.log.format === 'auto' ? (io.stdout.isTTY ? 'text' : 'json') : options.log.format;
  const redaction = new Redaction();
  const { log, close } = createLog({
    level: options.log.level,
    format,
    redaction,
    clock: systemClock,
    stream: io.stdout,
  });
  const exposure = optionsExposure(options.file);
  if (exposure) log('warn', 'options_file_exposed', `${options.file}: ${exposure.what} (${exposure.mend})`, {});
  process.title = 'hotconf';
  // A terminal that has hung up takes nothing any more.
  io.stderr.on('error', () => {});
  let daemon: Daemon | undefined;
  guardProcess(() => daemon, log, io.stderr);
  daemon = new Daemon({ options, env: io.env, log, redaction });
  const stopped = untilStopped(daemon, log);
  const starting = daemon.start();
  const snapshot = await Promise.race([starting, stopped.then(() => undefined)]);
  if (snapshot) {
    const { revision, epoch } = snapshot;
    log('info', 'daemon_ready', `serving revision ${revision}`, { ...readyFacts(options), revision, epoch });
    log('debug', 'daemon_places', 'what it reads and where it serves', placesOf(options, daemon));
    if (format === 'text' || options.profile === 'development')
      io.stderr.write(welcomeScreen(options, daemon.reports.summary()));
  }
  const reason = await Promise.race([stopped, daemon.running.then(() => stopped)]);
  log('info', 'daemon_stopping', `stopping: ${reason}`, { reason });
  await daemon.stop();
  // A start that was cut short fails by that, and takes down what it had begun.
  await starting.catch(() => {});
  await close();
  return 0;
}

function readyFacts({ environment, hotReload, file }: Options) {
  return { environment, hotReload, options: file, pid: process.pid, readyAfterMs: Math.round(performance.now()) };
}

function placesOf(options: Options, daemon: Daemon) {
  return {
    [options.hotReload ? 'watching' : 'reading']: daemon.reports.summary().sources.flatMap(({ reads }) => reads),
    sockets: {
      ...Object.fromEntries(options.views.map(({ name }) => [name, viewSocket(options, name)])),
      admin: adminSocket(options),
    },
  };
}
