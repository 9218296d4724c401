/** How a world is set up; everything follows from its seed, but for what `HOTCONF_MODEL_CHOICES` (JSON) says. */
export interface Choices {
  /** `undefined`: strategy `all`. Times are the daemon's. */
  readonly canary?: {
    readonly share: string;
    readonly bakeMs: number;
    readonly maxRejected: number;
    readonly subscribers: readonly string[];
  };
  /** A change of the secret goes to all at once. */
  readonly isUrgent: boolean;
  /** There is a last known good. */
  readonly hasKey: boolean;
  readonly keep: number;
  /** The secret is one of Secret Manager's. */
  readonly isGoogle: boolean;
  /** The environment gives the secret too, and wins. */
  readonly isShadowed: boolean;
  readonly hotReload: boolean;
  /** How long the programs' `verify` takes, in real milliseconds. */
  readonly verifyMs: number;
  /** How long their handlers take, likewise. */
  readonly handlerMs: number;
  readonly verifying: readonly string[];
  /** The end is reached without writing what is good already, and without an operator. */
  readonly settlesAlone: boolean;
  /** What is looked at once the world has come to rest. */
  readonly ending: 'nothing' | 'restart' | 'restart without sources' | 'idle';
  readonly steps: number;
  /** So many programs mean harm. */
  readonly hostile: number;
}

export type Random = () => number;

export function choose(random: Random): Omit<Choices, 'hostile'> {
  const chance = (share: number) => random() < share;
  const pick = <T>(items: readonly T[]) => items[Math.floor(random() * items.length)]!;
  const hasCanary = chance(0.55);
  const canary = {
    share: pick(['10%', '34%', '50%']),
    bakeMs: pick([2_000, 3_000, 4_000]),
    maxRejected: chance(0.8) ? 0 : 1,
    subscribers: chance(0.4) ? [pick(['plain', 'narrow', 'third'])] : [],
  };
  const isGoogle = chance(0.12);
  const hasKey = chance(0.7);
  const hotReload = !chance(0.15);
  const chosen = {
    ...(hasCanary && { canary }),
    isUrgent: chance(0.4),
    hasKey,
    keep: pick([3, 20]),
    isGoogle,
    isShadowed: chance(isGoogle ? 0.25 : 0),
    hotReload,
    verifyMs: chance(0.3) ? 220 + random() * 40 : 0,
    handlerMs: chance(0.3) ? 60 + random() * 50 : 0,
    verifying: ['verifying', 'narrow'].filter(() => chance(0.6)),
    settlesAlone: hotReload && chance(0.75),
    ending: pick([
      'nothing',
      'nothing',
      'restart',
      hasKey && !isGoogle ? 'restart without sources' : 'restart',
      'idle',
    ]),
    steps: 5 + Math.floor(random() * 8),
  } satisfies Omit<Choices, 'hostile'>;
  return { ...chosen, ...JSON.parse(process.env.HOTCONF_MODEL_CHOICES ?? '{}') };
}
