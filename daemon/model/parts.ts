import { isEqual, type JsonObject } from '../../schemas/json.ts';
import { compare, leavesOf } from '../../schemas/patch.ts';
import type { Path } from '../../schemas/paths.ts';
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

/** The same parts with the same settings, in whatever objects. */
export function isEqualParts(a: readonly LayerPart[], b: readonly LayerPart[]): boolean {
  const isSame = (part: LayerPart, i: number) =>
    partKey(part) === partKey(b[i]!) && isEqual(part.settings, b[i]!.settings);
  return a.length === b.length && a.every(isSame);
}

/** The same settings objects. */
export function isSameParts(a: readonly LayerPart[], b: readonly LayerPart[]): boolean {
  return a.length === b.length && a.every(({ settings }, i) => settings === b[i]!.settings);
}

/** Every leaf that a part gives and did not give before, or the other way round. */
export function pathsChangedIn(before: readonly LayerPart[], after: readonly LayerPart[]): readonly Path[] {
  const gone = new Map(before.map((part) => [partKey(part), part.settings]));
  const changed = after.flatMap((part) => {
    const was = gone.get(partKey(part));
    gone.delete(partKey(part));
    if (before.length === 0 || was === part.settings) return [];
    const difference = compare(was ?? {}, part.settings);
    return [...difference.changed, ...difference.removed];
  });
  return [...changed, ...[...gone.values()].flatMap((settings) => leavesOf(settings))];
}

/** A part's settings, under its key. */
export function settingsByKey(parts: readonly LayerPart[]): ReadonlyMap<string, JsonObject> {
  return new Map(parts.map((part) => [partKey(part), part.settings]));
}
