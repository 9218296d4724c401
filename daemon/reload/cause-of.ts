import type { Burst } from '../model/layer.ts';
import type { Cause } from '../model/snapshot.ts';
import type { Source } from '../sources/source.ts';

/** What a burst of hints is told as: the kind of its highest source. */
export function causeOf({ sourceIds }: Burst, sources: readonly Source[]): Cause {
  const kinds = sources.filter(({ id }) => sourceIds.has(id)).map(({ kind }) => kind);
  if (kinds.includes('gcp')) return 'secret-manager';
  return kinds.every((kind) => kind === 'env') ? 'env' : 'file';
}
