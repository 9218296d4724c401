import { describeError } from '../schemas/describe-error.ts';
import type { JsonValue } from '../schemas/json.ts';
import { Redactor, withheld } from '../schemas/redactor.ts';
import { secretTextsIn } from '../schemas/secret-texts.ts';
import { toDaemonLimits } from '../schemas/wire-limits.ts';

/** Why this program does not take a snapshot, as it is reported to the daemon. `settings` are all whose values it may quote. */
export class Rejection extends Error {
  readonly code: string;
  readonly paths: readonly string[];

  constructor(
    code: 'verify_failed' | 'verify_timeout' | 'base_missing' | 'handler_failed' | 'env_not_convertible',
    paths: readonly string[],
    cause: unknown,
    ...settings: readonly JsonValue[]
  ) {
    super(withoutValues(cause, settings), { cause });
    this.code = code;
    this.paths = paths;
  }
}

/** Shorter texts occur in most messages; replacing them would make those unreadable. */
const shortest = 4;

/**
 * What failed, without any value of the settings, because errors of databases and the like quote their input: as
 * {@link Redactor.cleanMessage}. Where nothing of it can be shown, the error's code is kept.
 */
export function withoutValues(error: unknown, settings: readonly JsonValue[]): string {
  const texts = new Set(settings.flatMap((values) => [...secretTextsIn(values)]));
  const redactor = new Redactor(shortest);
  for (const text of texts) redactor.add(text);
  const message = redactor.cleanMessage(describeError(error), texts, toDaemonLimits.report.message.chars);
  const code = String((error as { code?: unknown } | undefined)?.code);
  return message === withheld && /^[A-Z][A-Z_]{2,40}$/.test(code) && !texts.has(code) ? `${code}: ${message}` : message;
}
