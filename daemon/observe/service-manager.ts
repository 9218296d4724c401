import type { Clock } from '../ops/clock.ts';
import type { Notify } from '../ops/notify-socket.ts';
import type { Happening } from './happenings.ts';

export interface ServiceManagerParts {
  readonly notify: Notify;
  readonly clock: Clock;
  /** Microseconds within which the service manager wants to hear from us; `undefined` when it does not. */
  readonly watchdogUs: number | undefined;
  /** One line for people. */
  readonly status: () => string;
}

/**
 * Keeps systemd informed, as sd_notify(3) has it: READY when programs are served, RELOADING for a reload that it asked
 * for, STATUS with what is served, STOPPING, and WATCHDOG for as long as the event loop turns.
 */
export class ServiceManager {
  readonly #parts: ServiceManagerParts;
  #stopBeat = () => {};
  #isReloading = false;

  constructor(parts: ServiceManagerParts) {
    this.#parts = parts;
  }

  observe(happening: Happening): void {
    const { notify } = this.#parts;
    if (happening.kind === 'started') this.#beat();
    else if (happening.kind === 'ready') notify(`READY=1\n${this.#status()}`);
    else if (happening.kind === 'stopping') notify('STOPPING=1\nSTATUS=stopping');
    else if (happening.kind === 'reloading' && happening.cause === 'signal') this.#reloading();
    else if (happening.kind === 'reload') this.#reloaded();
    else if (happening.kind === 'trouble' || happening.kind === 'recovery') notify(this.#status());
  }

  stop(): void {
    this.#stopBeat();
  }

  #reloading(): void {
    this.#isReloading = true;
    const microseconds = process.hrtime.bigint() / 1_000n;
    this.#parts.notify(`RELOADING=1\nMONOTONIC_USEC=${microseconds}\nSTATUS=reloading`);
  }

  #reloaded(): void {
    this.#parts.notify(this.#isReloading ? `READY=1\n${this.#status()}` : this.#status());
    this.#isReloading = false;
  }

  #status(): string {
    return `STATUS=${this.#parts.status().replaceAll('\n', ' ')}`;
  }

  #beat(): void {
    const { notify, clock, watchdogUs } = this.#parts;
    if (!watchdogUs) return;
    notify('WATCHDOG=1');
    this.#stopBeat = clock.after(watchdogUs / 2_000, () => this.#beat());
  }
}
