import type { JsonValue } from '../../schemas/json.ts';
import type { Request, Response } from '../../schemas/wire.ts';

const maxOpen = 8;

/** What one program asks at a time, and how it is answered. */
export class OpenRequests {
  readonly #answer: (request: Request) => Promise<JsonValue>;
  #open = 0;

  /** `answer` throws what is told to the program. */
  constructor(answer: (request: Request) => Promise<JsonValue>) {
    this.#answer = answer;
  }

  /** Never rejects. `isFull`: the program does not read the answers that it gets. */
  async reply(request: Request, isFull: boolean): Promise<Response> {
    const { id } = request;
    if (isFull || this.#open >= maxOpen) return { id, ok: false, code: 'busy', message: 'too many open requests' };
    this.#open++;
    try {
      return { id, ok: true, result: await this.#answer(request) };
    } catch (error) {
      const { code = 'internal', message } = error as { code?: string; message: string };
      return { id, ok: false, code, message };
    } finally {
      this.#open--;
    }
  }
}
