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
export type { Path, PathOf, ValueAt } from './path-types.ts';
export type {
  Config,
  ConfigEvents,
  ConnectOptions,
  DeepReadonly,
  Link,
  ReloadResult,
  Snapshot,
  Summary,
  ValidationResult,
  Verify,
  WatchHandler,
} from './types.ts';
