import type { Reports } from '../admin/reports.ts';
import { checkAlerts } from '../checkup/check-alerts.ts';
import { checkFolders } from '../checkup/check-folders.ts';
import { checkMachine } from '../checkup/check-machine.ts';
import { tryOutSettings } from '../checkup/check-settings.ts';
import { daemonUser } from '../checkup/daemon-user.ts';
import { type Finding, failed, ok, warn } from '../checkup/finding.ts';
import { DaemonError } from '../model/errors.ts';
import { plainText } from '../model/plain-text.ts';
import { type Account, accountName } from '../ops/accounts.ts';
import type { Options } from '../ops/options.ts';
import { findOptionsFile, loadOptions } from '../ops/options-file.ts';
import { optionsExposure } from '../ops/options-trust.ts';
import { askDaemon } from './admin-client.ts';
import { type Io, printJson, printLines, type SharedOptions } from './io.ts';

/** Looks at everything that a daemon needs, and says how to mend what is not right. 1 when something has failed. */
export async function doctor(shared: SharedOptions, io: Io): Promise<number> {
  const findings = await examine(shared, io);
  const isWell = !findings.some(({ verdict }) => verdict === 'fail');
  if (shared.json) printJson(io, { well: isWell, findings });
  else printLines(io, findings.flatMap(describe));
  return isWell ? 0 : 1;
}

async function examine(shared: SharedOptions, io: Io): Promise<Finding[]> {
  let options: Options;
  try {
    options = loadOptions(findOptionsFile(shared.config, io.env), io.env);
  } catch (error) {
    // Without options it is not known where to look.
    return [failed('options', error)];
  }
  const { gcp } = options.sources;
  const user = daemonUser(options);
  return [
    ok('options', `${options.file}, ${options.environment}, hot reload ${options.hotReload ? 'on' : 'off'}`),
    ...checkOptionsFile(options),
    ...checkMachine(options),
    ok('user', judgedFor(user)),
    ...checkFolders(options, io.env, user),
    ...checkAlerts(options),
    ...(await checkSettings(options, io)),
    ...(gcp ? await (await import('../checkup/check-google.ts')).checkGoogle(gcp) : []),
    ...(await checkDaemon(shared, io)),
  ];
}

/** In development; elsewhere it is not even read. */
function checkOptionsFile({ file }: Options): Finding[] {
  const exposure = optionsExposure(file);
  return exposure ? [warn('options file', `${file} ${exposure.what}`, exposure.mend)] : [];
}

/** Whoever looks may be somebody else, and what is right for one is wrong for the other. */
function judgedFor({ uid }: Account): string {
  const name = accountName(uid);
  return `what follows is judged for ${name === String(uid) ? `uid ${uid}` : `${name} (uid ${uid})`}, as whom the daemon runs`;
}

async function checkSettings(options: Options, { env }: Io): Promise<Finding[]> {
  const doubts: Finding[] = [];
  try {
    await tryOutSettings(options, env, (_level, event, message) => {
      const isExposed = event === 'source_file_exposed';
      const mend = isExposed ? 'as it says' : 'see what it says of that in the log';
      doubts.push(warn(isExposed ? 'file modes' : 'sources', message, mend));
    });
    return [...doubts, ok('settings', 'every source can be read, and the schema accepts what they say')];
  } catch (error) {
    return [...doubts, failed('settings', error)];
  }
}

async function checkDaemon(shared: SharedOptions, io: Io): Promise<Finding[]> {
  try {
    const { body } = await askDaemon<ReturnType<Reports['health']>>(shared, io, '/healthz');
    if (body.status === 'ready') return [ok('daemon', `serves revision ${body.revision}`)];
    const problem = warn('daemon', `is ${body.status}: ${body.reasons.join(', ')}`, 'see `hotconf status`');
    return [...(body.reasons.includes('watch') ? await checkWatches(shared, io) : []), problem];
  } catch (error) {
    if (error instanceof DaemonError && error.code === 'refused')
      return [warn('daemon', 'serves nothing yet', 'see its log')];
    return [failed('daemon', error, 'warn')];
  }
}

/** Which sources no event reaches, and why. */
async function checkWatches(shared: SharedOptions, io: Io): Promise<Finding[]> {
  const { body } = await askDaemon<ReturnType<Reports['status']>>(shared, io, '/admin/status');
  const polled = body.sources.filter(({ watch }) => watch === 'polling').map(({ id }) => id);
  if (polled.length === 0) return [];
  const what = `${polled.join(', ')}: polling, so a change is found by the rescan only (${body.state.reasons.join('; ')})`;
  return [warn('watch', what, 'fix the reason given; `hotconf status` shows `watching` then')];
}

const signs = { ok: 'ok  ', warn: 'WARN', fail: 'FAIL' };

function describe({ check, verdict, message, mend }: Finding): string[] {
  return [plainText(`${signs[verdict]}  ${check}: ${message}`), ...(mend ? [plainText(`      mend: ${mend}`)] : [])];
}
