import { parseSecretName } from './secret-manager.ts';

/** What a notification says happened. A hint only: what is served is read from Secret Manager. */
export interface SecretEvent {
  /** Such as `SECRET_VERSION_ADD`. */
  readonly type: string;
  /** By its number, as Secret Manager writes it. */
  readonly project: string;
  readonly location?: string;
  readonly id: string;
  readonly version?: number;
  /** Of the message; one that is delivered twice has the same. */
  readonly messageId: string;
}

/**
 * Reads a message's attributes, as described under "Event notifications" in Secret Manager's documentation. `'nothing'`
 * is said by a message that is about no secret; `undefined` is one that makes no sense.
 */
export function parseSecretEvent(
  attributes: Readonly<Record<string, string>>,
  messageId: string,
): SecretEvent | 'nothing' | undefined {
  const { eventType, secretId, versionId } = attributes;
  if (eventType === 'TOPIC_CONFIGURED') return 'nothing';
  if (!eventType || !/^SECRET_[A-Z_]+$/.test(eventType) || !secretId) return undefined;
  const name = parseSecretName(secretId);
  if (!name) return undefined;
  const { project, location, id } = name;
  const version = versionId === undefined ? undefined : versionNumber(versionId);
  if (eventType.startsWith('SECRET_VERSION_') && version === undefined) return undefined;
  return {
    type: eventType,
    project,
    id,
    messageId,
    ...(location && { location }),
    ...(version !== undefined && { version }),
  };
}

/** Versions count from 1. A number that cannot be kept exactly would stand above every real one. */
function versionNumber(text: string): number | undefined {
  const number = /^\d+$/.test(text) ? Number(text) : parseSecretName(text)?.version;
  return number !== undefined && number > 0 && Number.isSafeInteger(number) ? number : undefined;
}
