import { compare } from '../../schemas/patch.ts';
import { formatPath } from '../../schemas/paths.ts';
import type { LayerPart } from '../model/layer.ts';
import { winningPart } from '../model/secrecy.ts';
import type { Shadowed } from '../model/snapshot.ts';

/** More help nobody. */
const most = 10;

/** The settings that changed in a part while another part above it gives them. Costs what changed. */
export function findShadowed(before: readonly LayerPart[], after: readonly LayerPart[]): readonly Shadowed[] {
  const found: Shadowed[] = [];
  for (const part of after) {
    const was = before.find(({ name, sourceId }) => name === part.name && sourceId === part.sourceId);
    if (!was || was.settings === part.settings) continue;
    const { changed, removed } = compare(was.settings, part.settings);
    for (const path of [...changed, ...removed]) {
      const winner = winningPart(after, path);
      if (!winner || winner === part) continue;
      found.push({ path: formatPath(path), in: part.name, by: winner.name });
      if (found.length === most) return found;
    }
  }
  return found;
}
