/** The parts of the settings that change on their own, each from a file or a secret of its own. */
export const parts = ['first', 'second', 'secret'] as const;
export type Part = (typeof parts)[number];

/** Two values that always change together, so that a mix of two contents shows. The number is not secret. */
export interface Pair {
  readonly token: string;
  readonly twin: string;
  readonly serial: number;
}

export type Settings = Partial<Record<Part, Pair>> & {
  /** Changes between two texts that some digests cannot tell apart. */
  readonly abc?: string;
};

/** Settings by the numbers of their parts, of which each was given once. */
export type Content = Readonly<Partial<Record<Part, number>>>;

/** Stands in every secret value. */
export const mark = 'QxCanaryQx';

const pair = {
  type: 'object',
  required: ['token', 'twin', 'serial'],
  properties: {
    token: { type: 'string', minLength: 8 },
    twin: { type: 'string', minLength: 8 },
    serial: { type: 'integer', 'x-secret': false },
  },
};

/** What every content has to be. */
export const appSchema = {
  required: parts,
  additionalProperties: false,
  properties: {
    first: pair,
    second: pair,
    secret: pair,
    abc: { type: 'string', 'x-secret': false },
    guest: { type: 'string' },
  },
};

export function contentOf(settings: object): Content {
  const of = settings as Partial<Record<Part, Partial<Pair>>>;
  const found = parts.filter((part) => typeof of[part]?.serial === 'number');
  return Object.fromEntries(found.map((part) => [part, of[part]!.serial!]));
}

export function serialsOf(content: Content): readonly number[] {
  return Object.values(content);
}

/** What is in a content and not in another. */
export function freshIn(content: Content, before: Content): Content {
  const fresh = parts.filter((part) => content[part] !== undefined && content[part] !== before[part]);
  return Object.fromEntries(fresh.map((part) => [part, content[part]!]));
}

/** Whether all of `inner`, which is not nothing, is in `outer`. */
export function holds(outer: Content, inner: Content): boolean {
  const entries = Object.entries(inner) as [Part, number][];
  return entries.length > 0 && entries.every(([part, serial]) => outer[part] === serial);
}

export function show(content: Content): string {
  return parts.map((part) => content[part] ?? '-').join('/');
}

/** A text that is equal for equal settings. */
export function textOf(value: unknown): string {
  return JSON.stringify(sorted(value));
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}
