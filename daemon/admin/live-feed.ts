import { Readable } from 'node:stream';
import type { Happening } from '../observe/happenings.ts';
import type { Clock } from '../ops/clock.ts';
import { Refused } from './gate.ts';

export interface LiveFeedParts {
  readonly clock: Clock;
  /** Takes secrets out of what is told. */
  readonly clean: (value: unknown) => unknown;
}

const maxReaders = 16;
/** One token leaves a place for another. */
const maxReadersOfOne = maxReaders - 1;
/** What a reader may leave unread before it is cut off. */
const maxUnreadBytes = 256 * 1024;
const beatMs = 15_000;
const sessionsMs = 250;

/**
 * Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) of what happens: `reload` with its
 * record, `trouble` and `recovery`, `sessions` when programs come, go or answer (at most four a second, without data),
 * `operation`. A reader that does not read is cut off.
 */
export class LiveFeed {
  readonly #parts: LiveFeedParts;
  /** Each with the name of who reads. */
  readonly #readers = new Map<Readable, string>();
  #stopBeat = () => {};
  #isSessionsDue = false;

  constructor(parts: LiveFeedParts) {
    this.#parts = parts;
  }

  /** For an operator of this name. Throws {@link Refused} when too many read already, in all or of that name. */
  open(name: string): Readable {
    const ofOne = [...this.#readers.values()].filter((other) => other === name).length;
    if (ofOne >= maxReadersOfOne || this.#readers.size >= maxReaders)
      throw new Refused({
        status: 429,
        code: 'rate_limited',
        message: `${ofOne >= maxReadersOfOne ? `${ofOne} readers of ${name}` : `${maxReaders} readers`} follow already; close one`,
        headers: { 'retry-after': '5' },
      });
    const reader = new Readable({ read: () => {} });
    reader.once('close', () => this.#readers.delete(reader));
    this.#readers.set(reader, name);
    if (this.#readers.size === 1) this.#beat();
    reader.push(': hotconf\n\n');
    return reader;
  }

  observe(happening: Happening): void {
    if (this.#readers.size === 0) return;
    if (happening.kind === 'reload') this.#send('reload', happening.record);
    else if (happening.kind === 'trouble' || happening.kind === 'recovery')
      this.#send(happening.kind, happening.trouble);
    else if (happening.kind === 'operation') {
      const { what, by, outcome } = happening;
      this.#send('operation', { what, by: by.name, outcome });
    } else if (happening.kind === 'session') this.#noteSessions();
  }

  close(): void {
    this.#stopBeat();
    for (const reader of this.#readers.keys()) reader.push(null);
  }

  #noteSessions(): void {
    if (this.#isSessionsDue) return;
    this.#isSessionsDue = true;
    this.#parts.clock.after(sessionsMs, () => {
      this.#isSessionsDue = false;
      this.#send('sessions', {});
    });
  }

  #send(event: string, value: unknown): void {
    this.#push(`event: ${event}\ndata: ${JSON.stringify(this.#parts.clean(value))}\n\n`);
  }

  #push(text: string): void {
    for (const reader of this.#readers.keys()) {
      if (reader.readableLength > maxUnreadBytes) reader.destroy();
      else reader.push(text);
    }
  }

  /** Shows a reader that nothing has happened, and us that it is gone. */
  #beat(): void {
    this.#stopBeat();
    this.#stopBeat = this.#parts.clock.after(beatMs, () => {
      if (this.#readers.size === 0) return;
      this.#push(': beat\n\n');
      this.#beat();
    });
  }
}
