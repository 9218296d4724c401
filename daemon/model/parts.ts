import type { LayerPart } from './layer.ts';

/** Names a part within the daemon. */
export function partKey({ sourceId, name }: { readonly sourceId: string; readonly name: string }): string {
  return `${sourceId}\n${name}`;
}

/** Parts of `base`, with those that are named as `top` has them: replaced, put in their places, or taken out. */
export function overlayParts(
  base: readonly LayerPart[],
  top: readonly LayerPart[],
  isNamed: (part: LayerPart) => boolean,
): LayerPart[] {
  const parts = base.filter((part) => !isNamed(part));
  for (const [i, part] of top.entries()) {
    if (!isNamed(part)) continue;
    const below = new Set(top.slice(0, i).map(partKey));
    parts.splice(parts.findLastIndex((other) => below.has(partKey(other))) + 1, 0, part);
  }
  return parts;
}

export function isSameParts(a: readonly LayerPart[], b: readonly LayerPart[]): boolean {
  return a.length === b.length && a.every(({ settings }, i) => settings === b[i]!.settings);
}
