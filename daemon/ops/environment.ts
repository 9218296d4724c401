import { DaemonError } from '../model/errors.ts';

/** Which defaults hold. */
export type Profile = 'development' | 'production';
export type FileModeCheck = 'strict' | 'warn' | 'off';

// The document has passed options.schema.json.
// biome-ignore lint/suspicious/noExplicitAny: a checked document
type Document = any;

/** `HOTCONF_ENV`, the options file, `NODE_ENV`, or else `development`. Throws `options_unusable`. */
export function readEnvironment(document: Document, env: NodeJS.ProcessEnv): string {
  const isName = (text: string | undefined) => /^[a-z][a-z0-9_-]{0,31}$/.test(text ?? '');
  const given = env.HOTCONF_ENV;
  if (given && !isName(given)) {
    const what = 'is no name of an environment: lower case letters, digits, - and _, 32 at most';
    throw new DaemonError('options_unusable', what, { subject: 'HOTCONF_ENV' });
  }
  // Others choose NODE_ENV for their own ends; what cannot be meant for us is passed over.
  const last = isName(env.NODE_ENV) ? env.NODE_ENV : undefined;
  return given || document.environment || last || 'development';
}

/** Of the environments that people develop in, and of all others. */
export function profileOf(environment: string): Profile {
  return ['development', 'dev', 'local', 'test'].includes(environment) ? 'development' : 'production';
}

/** `CONFIG_HOT_RELOAD`, the options file, or else by the profile. Throws `options_unusable`. */
export function readHotReload(document: Document, env: NodeJS.ProcessEnv, profile: Profile): boolean {
  const text = env.CONFIG_HOT_RELOAD?.toLowerCase();
  if (!text) return document.hotReload ?? profile !== 'development';
  if (['true', '1', 'on', 'yes'].includes(text)) return true;
  if (['false', '0', 'off', 'no'].includes(text)) return false;
  throw new DaemonError('options_unusable', 'is not one of true, false, on, off, 1, 0', {
    subject: 'CONFIG_HOT_RELOAD',
  });
}

/** `auto` warns where people develop, and refuses elsewhere. */
export function readModeCheck(value: FileModeCheck | 'auto', profile: Profile): FileModeCheck {
  if (value !== 'auto') return value;
  return profile === 'development' ? 'warn' : 'strict';
}
