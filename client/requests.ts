import type { JsonValue } from '../schemas/json.ts';
import type { Request, RequestFields, RequestKind, Response } from '../schemas/wire.ts';
import { ClientError } from './errors.ts';
import { deferred } from './node20.ts';

const withinMs = 60_000;
/** A program that asks too often waits for its turn so long, in all. */
const patienceMs = 5_000;

interface Open {
  readonly request: Request;
  readonly askedAt: number;
  resolve(result: JsonValue): void;
  reject(error: ClientError): void;
}

/** The questions that are open with the daemon. */
export class Requests {
  readonly #send: (request: Request) => void;
  readonly #open = new Map<string, Open>();
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
    const request = { id, kind, ...fields };
    this.#open.set(id, { request, askedAt: performance.now(), resolve, reject });
    this.#send(request);
    return promise.finally(() => {
      clearTimeout(timer);
      this.#open.delete(id);
    });
  }

  settle(response: Response): void {
    const { id, ok, result = null, code, message = '' } = response;
    const open = this.#open.get(id);
    if (!open || this.#isAskedAgain(open, response)) return;
    if (ok) open.resolve(result);
    else open.reject(new ClientError(codeOf(code), message));
  }

  failAll(error: ClientError): void {
    for (const { reject } of this.#open.values()) reject(error);
  }

  /** Too many at a time: where its turn comes soon, the same is asked again then. */
  #isAskedAgain({ request, askedAt }: Open, { code, retryAfterMs }: Response): boolean {
    if (code !== 'rate_limited' || retryAfterMs === undefined) return false;
    if (performance.now() - askedAt + retryAfterMs > patienceMs) return false;
    const again = () => this.#open.has(request.id) && this.#send(request);
    setTimeout(again, retryAfterMs);
    return true;
  }
}

function codeOf(code: string | undefined) {
  if (code === 'not_permitted') return 'not_allowed';
  return code === 'rate_limited' ? code : 'request_failed';
}
