import type { JsonValue } from '../schemas/json.ts';
import type { Request, RequestFields, RequestKind, Response } from '../schemas/wire.ts';
import { ClientError } from './errors.ts';
import { deferred } from './node20.ts';

const withinMs = 60_000;

/** The questions that are open with the daemon. */
export class Requests {
  readonly #send: (request: Request) => void;
  readonly #open = new Map<string, { resolve(result: JsonValue): void; reject(error: ClientError): void }>();
  #last = 0;

  constructor(send: (request: Request) => void) {
    this.#send = send;
  }

  add(kind: RequestKind, fields: RequestFields): Promise<JsonValue> {
    const id = String(++this.#last);
    const { promise, resolve, reject } = deferred<JsonValue>();
    const timer = setTimeout(
      () => reject(new ClientError('timeout', `the daemon did not answer '${kind}' within ${withinMs / 1_000} s`)),
      withinMs,
    );
    this.#open.set(id, { resolve, reject });
    this.#send({ id, kind, ...fields });
    return promise.finally(() => {
      clearTimeout(timer);
      this.#open.delete(id);
    });
  }

  settle({ id, ok, result = null, code, message = '' }: Response): void {
    const open = this.#open.get(id);
    if (ok) open?.resolve(result);
    else open?.reject(new ClientError(code === 'not_permitted' ? 'not_allowed' : 'request_failed', message));
  }

  failAll(error: ClientError): void {
    for (const { reject } of this.#open.values()) reject(error);
  }
}
