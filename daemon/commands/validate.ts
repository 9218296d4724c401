import type { Issue } from '../../schemas/errors.ts';
import { tryOutSettings } from '../checkup/check-settings.ts';
import { DaemonError } from '../model/errors.ts';
import type { Log } from '../ops/log.ts';
import { findOptionsFile, loadOptions } from '../ops/options-file.ts';
import { type Io, printJson, printLines, type SharedOptions } from './io.ts';
import { tellPreview } from './reload.ts';

/**
 * Loads, merges and validates without a daemon; or asks the running one, whose programs try it too. Tells each issue; 0
 * when there is none, else 65.
 */
export async function validate(options: SharedOptions & { readonly live?: boolean }, io: Io): Promise<number> {
  if (options.live) return tellPreview(options, io, 65);
  const issues = await issuesOf(options, io);
  if (options.json) printJson(io, { valid: issues.length === 0, issues });
  else
    printLines(
      io,
      issues.length === 0
        ? ['valid']
        : issues.map(({ path, message }) => `${path && !message.includes(path) ? `${path}: ` : ''}${message}`),
    );
  return issues.length === 0 ? 0 : 65;
}

async function issuesOf(shared: SharedOptions, io: Io): Promise<readonly Issue[]> {
  // A missing options file is no finding about settings: it leaves by its own exit code.
  const file = findOptionsFile(shared.config, io.env);
  try {
    const options = loadOptions(file, io.env);
    const log: Log = (_level, _event, message) => void io.stderr.write(`${message}\n`);
    await tryOutSettings(options, io.env, log);
    return [];
  } catch (error) {
    if (!(error instanceof DaemonError) || error.code === 'options_missing') throw error;
    return error.issues;
  }
}
