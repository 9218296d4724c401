import { isObject, type JsonObject } from '../../schemas/json.ts';
import { formatPath, type Path } from '../../schemas/paths.ts';
import { DaemonError } from '../model/errors.ts';
import type { MountedSecret } from '../sources/gcp/mounted-secret.ts';

/** The content of a JSON secret with one part replaced. Throws `usage` where there is no such part. */
export function replacePart({ bytes, options, name }: MountedSecret, path: Path, value: Buffer): Buffer {
  const inner = path.slice(options.at.length);
  if (inner.length === 0) return value;
  const content: unknown = options.format === 'json' && bytes ? JSON.parse(bytes.toString()) : undefined;
  if (!isObject(content)) {
    const what = `${formatPath(inner)} is a part of the secret, and parts can be replaced in JSON secrets only`;
    throw new DaemonError('usage', what, { subject: name, mend: 'give the whole content' });
  }
  let at: JsonObject = content;
  for (const key of inner.slice(0, -1)) {
    if (!isObject(at[key])) throw new DaemonError('usage', `it has no ${formatPath(inner)}`, { subject: name });
    at = at[key];
  }
  (at as Record<string, unknown>)[inner.at(-1)!] = value.toString();
  return Buffer.from(JSON.stringify(content, null, 2));
}
