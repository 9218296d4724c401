export type { ClientErrorCode, Issue } from '../schemas/errors.ts';
export type { Rejecting, RotationResult } from '../schemas/wire.ts';
export { connect } from './connect.ts';
export { ClientError } from './errors.ts';
export {
  closeConfig,
  getConfig,
  getConfigSummary,
  initConfig,
  reloadConfig,
  rotateSecret,
  supportsRotation,
  validateConfiguration,
} from './functions.ts';
export { createMemoryConfig, type MemoryConfig, type MemoryConfigOptions } from './memory-config.ts';
export type {
  Config,
  ConfigEvents,
  ConnectOptions,
  DeepReadonly,
  Link,
  Path,
  PathOf,
  ReloadResult,
  Snapshot,
  Summary,
  ValidationResult,
  ValueAt,
  Verify,
  WatchHandler,
} from './types.ts';
