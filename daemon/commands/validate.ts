import { tryOutSettings } from '../checkup/check-settings.ts';
import { DaemonError } from '../model/errors.ts';
import type { Log } from '../ops/log.ts';
import { findOptionsFile, loadOptions } from '../ops/options-file.ts';
import { type Io, printJson, printLines, type SharedOptions } from './io.ts';
import { tellPreview } from './reload.ts';

/** What is no finding about settings: they could not be looked at. */
const unseen: ReadonlySet<string> = new Set(['google_credentials', 'secret_unavailable']);

/**
 * Loads, merges and validates without a daemon; or asks the running one, whose programs try it too. Tells each issue; 0
 * when there is none, else 65; where Google cannot be asked, 77 for want of credentials and 69 for want of an answer.
 */
export async function validate(options: SharedOptions & { readonly live?: boolean }, io: Io): Promise<number> {
  if (options.live) return tellPreview(options, io, 65);
  const error = await problemOf(options, io);
  const issues = error?.issues ?? [];
  if (options.json) printJson(io, { valid: !error, issues });
  else
    printLines(
      io,
      error
        ? issues.map(({ path, message }) => `${path && !message.includes(path) ? `${path}: ` : ''}${message}`)
        : ['valid'],
    );
  if (!error) return 0;
  return unseen.has(error.code) ? error.exitCode : 65;
}

async function problemOf(shared: SharedOptions, io: Io): Promise<DaemonError | undefined> {
  // A missing options file is no finding about settings: it leaves by its own exit code.
  const file = findOptionsFile(shared.config, io.env);
  try {
    const options = loadOptions(file, io.env);
    const log: Log = (_level, _event, message) => void io.stderr.write(`${message}\n`);
    await tryOutSettings(options, io.env, log);
    return undefined;
  } catch (error) {
    if (!(error instanceof DaemonError) || error.code === 'options_missing') throw error;
    return error;
  }
}
