export type { ClientErrorCode, Issue } from '../schemas/errors.ts';
export { connect } from './connect.ts';
export { ClientError } from './errors.ts';
export {
  closeConfig,
  getConfig,
  getConfigSummary,
  initConfig,
  reloadConfig,
  validateConfiguration,
} from './functions.ts';
export { createMemoryConfig, type MemoryConfig, type MemoryConfigOptions } from './memory-config.ts';
export type {
  Config,
  ConfigEvents,
  ConnectOptions,
  DeepReadonly,
  Link,
  PathOf,
  ReloadResult,
  Snapshot,
  Summary,
  ValidationResult,
  ValueAt,
  Verify,
  WatchHandler,
} from './types.ts';
