import type { ToDaemon } from './wire.ts';

/** What a timer can wait for, in milliseconds: a longer wait would end at once. Bounds every duration on the wire. */
export const maxDurationMs = 2 ** 31 - 1;

/**
 * A field's bound. `chars`: the longest text; with `items` the longest list, of such texts. `isWhole`: a text that means
 * nothing when it is cut. `most`: the highest number.
 */
export interface FieldLimit {
  readonly chars?: number;
  readonly items?: number;
  readonly isWhole?: boolean;
  readonly most?: number;
}

type Limits = { readonly [Type in keyof ToDaemon]?: { readonly [Field in keyof ToDaemon[Type]]?: FieldLimit } };

/** The bounds of what a program sends, as `wire.schema.json` states them; a test compares the two. */
export const toDaemonLimits = {
  hello: {
    name: { chars: 200, isWhole: true },
    library: { chars: 200 },
    capabilities: { items: 16, chars: 64 },
  },
  ack: { nonce: { chars: 64 }, applyMs: { most: maxDurationMs } },
  nack: { nonce: { chars: 64 }, code: { chars: 64 }, paths: { items: 100, chars: 1_000 }, message: { chars: 2_000 } },
  report: { code: { chars: 64 }, message: { chars: 2_000 } },
  resync: { reason: { chars: 200 } },
  request: {
    id: { chars: 64 },
    reason: { chars: 500 },
    secret: { chars: 400, isWhole: true },
    value: { chars: 64_512, isWhole: true },
  },
  goodbye: { code: { chars: 64 }, retryAfterMs: { most: maxDurationMs } },
} as const satisfies Limits;
