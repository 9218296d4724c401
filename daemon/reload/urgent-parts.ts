import { compare, formatPaths } from '../../schemas/patch.ts';
import type { LayerPart } from '../model/layer.ts';
import { overlayParts, partKey, settingsByKey } from '../model/parts.ts';

/** The stable parts with those of `next` in which, against `current`, something urgent changed. A part goes as a whole. */
export function withUrgent(
  stable: readonly LayerPart[],
  current: readonly LayerPart[],
  next: readonly LayerPart[],
  isUrgent: (paths: readonly string[]) => boolean,
): LayerPart[] {
  const [before, after] = [settingsByKey(current), settingsByKey(next)];
  return overlayParts(stable, next, (part) => {
    const { changed, removed } = compare(before.get(partKey(part)) ?? {}, after.get(partKey(part)) ?? {});
    return isUrgent(formatPaths([...changed, ...removed]));
  });
}
