import type { DaemonErrorCode } from '../../../schemas/errors.ts';
import { DaemonError } from '../../model/errors.ts';

/** The gRPC status codes that are told apart here; the list is gRPC's own, `google.rpc.Code`. */
export const grpcStatus = {
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;
export type GrpcStatus = keyof typeof grpcStatus;

export interface Told {
  readonly code: DaemonErrorCode;
  readonly what: string;
  readonly mend: string;
}

const retried = 'a running daemon retries by itself';
/** What to do where nothing of Google answers. */
export const unreachable = `check network, DNS and proxy of this machine; ${retried}`;

/** The name of a failed call's status; `UNKNOWN` for any other. */
export function statusOf(error: unknown): GrpcStatus | 'UNKNOWN' {
  const code = (error as { code?: unknown } | undefined)?.code;
  const found = Object.entries(grpcStatus).find(([, number]) => number === code);
  return (found?.[0] as GrpcStatus | undefined) ?? 'UNKNOWN';
}

/**
 * A failed call as a `DaemonError`. Google's own words are not repeated: what they quote is not ours to know. A status
 * that `told` says nothing of is taken for one that may pass: `otherwise`.
 */
export function explainGoogle(
  error: unknown,
  subject: string,
  told: Partial<Record<GrpcStatus, Told>>,
  otherwise: DaemonErrorCode,
): DaemonError {
  if (error instanceof DaemonError) return error;
  const status = statusOf(error);
  const known = status === 'UNKNOWN' ? undefined : told[status];
  if (known) return new DaemonError(known.code, known.what, { subject, mend: known.mend, systemCode: status });
  if (status === 'UNAVAILABLE' || status === 'DEADLINE_EXCEEDED')
    return new DaemonError(otherwise, `Google cannot be reached: ${status}`, {
      subject,
      mend: unreachable,
      systemCode: status,
    });
  return new DaemonError(otherwise, `Google answers ${status}`, { subject, mend: retried, systemCode: status });
}
