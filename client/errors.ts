import type { ClientErrorCode } from '../schemas/errors.ts';

/** Every failure of the client library. `code` is from a closed list; the message says what to do and holds no value. */
export class ClientError extends Error {
  override name = 'ClientError';
  readonly code: ClientErrorCode;

  constructor(code: ClientErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
