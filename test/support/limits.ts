import type { Limits } from '../../daemon/ops/limits.ts';

/** Limits that no small test reaches. */
export const limits: Limits = {
  fileSize: 1_000_000,
  keys: 1_000,
  values: 10_000,
  depth: 64,
  snapshotSize: 1_000_000,
  clients: 10,
  clientsPerUid: 10,
  framesPerSecond: 200,
  requestsPerMinute: 60,
  logPerMinute: 256 * 1024,
};
