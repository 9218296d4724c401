const millisecondsIn = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;
const bytesIn = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** `250ms`, `10s`, `5m`, `1h` as milliseconds; `undefined` for anything else. */
export function parseDuration(text: string): number | undefined {
  return parseUnits(text, millisecondsIn);
}

/** `64KiB`, `16MiB` as bytes; `undefined` for anything else. */
export function parseSize(text: string): number | undefined {
  return parseUnits(text, bytesIn);
}

function parseUnits(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([A-Za-z]+)$/.exec(text);
  const unit = match && Object.hasOwn(units, match[2]!) ? units[match[2]!] : undefined;
  return unit === undefined ? undefined : Number(match![1]) * unit;
}

/** `3.2 s`, `4 m`, `2 h`, `5 d`: an age as a person reads it. */
export function formatAge(ms: number): string {
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1_000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} m`;
  return ms < 172_800_000 ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / 86_400_000)} d`;
}
