import type { Clock } from '../../ops/clock.ts';
import type { Log } from '../../ops/log.ts';
import { runCommand } from '../../ops/run-command.ts';
import type { SecretEvent } from './secret-event.ts';
import { secretName } from './secret-manager.ts';

export interface RotateHookParts {
  readonly command: readonly string[];
  /** By its id, as the options have it. */
  readonly project: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const withinMs = 10 * 60_000;
/** Whoever may publish on the topic can say that a rotation is due, as often as they like. */
const onceInMs = 60 * 60_000;
/** Messages that are remembered, so that one delivered twice is acted on once. */
const rememberedMessages = 1_000;

/**
 * Runs the operator's command when Secret Manager says that the rotation of a secret is due. The command finds the
 * secret's id in `HOTCONF_SECRET` and its full name in `HOTCONF_SECRET_NAME`; what it has to do is to add a version. It runs at
 * most once an hour for each secret; what comes sooner is logged once and not acted on.
 */
export class RotateHook {
  readonly #parts: RotateHookParts;
  readonly #seen = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #last = new Map<string, { readonly at: number; isLimitLogged: boolean }>();

  constructor(parts: RotateHookParts) {
    this.#parts = parts;
  }

  /** One run at a time for each secret; a rotation that comes due during one is part of it. */
  due(event: SecretEvent): void {
    const name = secretName({ ...event, project: this.#parts.project });
    if (this.#seen.has(event.messageId) || this.#running.has(name)) return;
    this.#seen.add(event.messageId);
    for (const oldest of this.#seen) if (this.#seen.size > rememberedMessages) this.#seen.delete(oldest);
    if (this.#isTooSoon(name)) return;
    const run = this.#run(name, event.id).finally(() => this.#running.delete(name));
    this.#running.set(name, run);
  }

  #isTooSoon(name: string): boolean {
    const { clock, log } = this.#parts;
    const last = this.#last.get(name);
    if (!last || clock.monotonic() - last.at >= onceInMs) {
      this.#last.set(name, { at: clock.monotonic(), isLimitLogged: false });
      return false;
    }
    const message = `another rotation of ${name} is due within an hour; the command runs at most once an hour for a secret`;
    if (!last.isLimitLogged) log('warn', 'rotation_limited', message, { secret: name });
    last.isLimitLogged = true;
    return true;
  }

  async #run(name: string, id: string): Promise<void> {
    const { command, log, signal } = this.#parts;
    log('info', 'rotation_started', `the rotation of ${name} is due: running ${command[0]}`, { secret: name });
    const env = { HOTCONF_SECRET: id, HOTCONF_SECRET_NAME: name };
    const { how, isSuccess } = await runCommand(command, { env, withinMs, signal });
    const what = `${command[0]} for ${name} ended: ${how}`;
    log(isSuccess ? 'info' : 'error', isSuccess ? 'rotation_command_ended' : 'rotation_command_failed', what, {
      secret: name,
    });
  }
}
