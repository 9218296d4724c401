/** Every way in which the daemon can fail, with the exit code of a command that ends by it. */
export const daemonErrors = {
  options_missing: 66,
  options_malformed: 65,
  options_invalid: 65,
  options_unusable: 78,
  schema_missing: 66,
  schema_malformed: 65,
  schema_invalid: 65,
  source_missing: 66,
  source_unreadable: 77,
  source_encrypted: 65,
  source_insecure: 77,
  source_unsettled: 65,
  source_empty: 65,
  source_malformed: 65,
  source_encoding: 65,
  source_forbidden_key: 65,
  source_duplicate_key: 65,
  source_too_large: 65,
  source_too_deep: 65,
  source_too_many_keys: 65,
  source_too_many_values: 65,
  source_too_many_aliases: 65,
  source_not_convertible: 65,
  source_conflict: 65,
  secret_not_found: 66,
  secret_forbidden: 77,
  secret_disabled: 65,
  secret_refused: 65,
  secret_corrupt: 65,
  secret_unavailable: 69,
  google_credentials: 77,
  topic_not_found: 66,
  subscription_not_found: 66,
  subscription_conflict: 65,
  notifications_forbidden: 77,
  notifications_refused: 65,
  notifications_unavailable: 69,
  settings_invalid: 65,
  validation_too_slow: 65,
  snapshot_too_large: 65,
  too_much_removed: 1,
  subscriber_rejected: 1,
  subscriber_silent: 1,
  candidate_quarantined: 1,
  revision_gone: 1,
  revision_conflict: 1,
  key_missing: 66,
  key_unreadable: 77,
  key_unusable: 77,
  token_missing: 66,
  token_unreadable: 77,
  token_unusable: 77,
  address_unusable: 73,
  rate_limited: 75,
  audit_unwritable: 1,
  last_known_good_refused: 65,
  source_unread: 75,
  deadline_exceeded: 75,
  already_running: 75,
  shutting_down: 75,
  cannot_create: 73,
  not_permitted: 77,
  socket_path_too_long: 78,
  not_reachable: 69,
  refused: 1,
  usage: 64,
  internal: 70,
} as const;

export type DaemonErrorCode = keyof typeof daemonErrors;

/** Every `code` of a `ClientError`. */
export const clientErrors = [
  /** No first snapshot within `timeoutMs`. */
  'timeout',
  /** Daemon and client do not speak the same protocol, or the peer is no hotconf daemon. */
  'protocol',
  /** The daemon refused this program: its view, its user, or too many programs. */
  'refused',
  /** The first snapshot was rejected by this program's own `verify` or handlers. */
  'rejected',
  /** The request needs a live daemon and there is none now. */
  'not_connected',
  /** The view does not allow this request. */
  'not_allowed',
  /** The program, or the programs of its user, ask too often; the message says when to ask again. */
  'rate_limited',
  /** The daemon could not do what was asked. */
  'request_failed',
  /** The config was closed. */
  'closed',
  /** The caller's signal aborted. */
  'aborted',
  /** The options or arguments make no sense. */
  'usage',
  /** A variable of this process's environment does not convert to the type of the setting that it overlays. */
  'env_not_convertible',
] as const;

export type ClientErrorCode = (typeof clientErrors)[number];

/** One thing wrong with settings: where, which rule of the schema, and what it says. Never a value. */
export interface Issue {
  readonly path: string;
  readonly keyword: string;
  readonly message: string;
}
