import type { JsonValue } from '../../schemas/json.ts';
import type { Request, Response } from '../../schemas/wire.ts';
import type { Allowance } from './allowance.ts';
import { type Outbox, SharedAnswer } from './outbox.ts';

/** What a request is answered by. */
export type Answer = JsonValue | SharedAnswer;

export interface OpenRequestsParts {
  /** Throws what is told to the program. */
  readonly answer: (request: Request) => Promise<Answer>;
  readonly allowance: Allowance;
  readonly outbox: Outbox;
}

const maxOpen = 8;

/** What one program asks at a time and in a time, and how it is answered. */
export class OpenRequests {
  readonly #parts: OpenRequestsParts;
  #open = 0;

  constructor(parts: OpenRequestsParts) {
    this.#parts = parts;
  }

  /** Resolves when it is answered. */
  async take(request: Request): Promise<void> {
    const { allowance, outbox } = this.#parts;
    const { id, kind } = request;
    if (this.#open >= maxOpen)
      return outbox.send('response', { id, ok: false, code: 'busy', message: 'too many open requests' });
    const retryAfterMs = allowance.request(kind);
    if (retryAfterMs !== undefined) {
      const message = `too many requests of this kind (limits.requestsPerMinute); ask again in ${retryAfterMs} ms`;
      return outbox.send('response', { id, ok: false, code: 'rate_limited', message, retryAfterMs });
    }
    this.#open++;
    const response = await this.#reply(request);
    this.#open--;
    if (response instanceof SharedAnswer) outbox.respond(id, response);
    else outbox.send('response', response);
  }

  async #reply(request: Request): Promise<Response | SharedAnswer> {
    const { id } = request;
    try {
      const result = await this.#parts.answer(request);
      return result instanceof SharedAnswer ? result : { id, ok: true, result };
    } catch (error) {
      const { code = 'internal', message } = error as { code?: string; message: string };
      return { id, ok: false, code, message };
    }
  }
}
