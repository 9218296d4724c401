import { chainStart, type Link, openSigned, signedText } from './audit-chain.ts';
import { type AuditSeries, auditSeries } from './audit-files.ts';

/** Where the head is kept: a text that is replaced at once. `undefined` before the first time. */
export interface HeadStore {
  auditHead: string | undefined;
}

/** The last link of each series. */
export type Lasts = Readonly<Record<AuditSeries, Link>>;

/** The head of one series, as its log uses it. */
export interface SeriesHead {
  /** The last link that is known to have been written. Setting it throws where it cannot be kept. */
  auditHead: Link;
  /** How often a head was kept; rises by one with each. `undefined`: records do not say it. */
  readonly count?: number;
  /** Why it cannot be believed. */
  readonly problem?: string | undefined;
}

/** What a kept head says, or why it cannot be believed. */
export function readHead(text: string | undefined, key: Buffer): { count: number; lasts: Lasts; problem?: string } {
  const none = { count: 0, lasts: { operators: chainStart, programs: chainStart } };
  if (text === undefined) return none;
  const head = openSigned(text, key) as ({ count: number } & Lasts) | undefined;
  if (!head) return { ...none, problem: 'its head was changed, or has another key' };
  return { count: head.count, lasts: { operators: head.operators, programs: head.programs } };
}

/**
 * The last link of both series, kept beside their files under the key and a number that rises: it shows when the end of
 * a file was cut off, or when the head itself was changed or put back.
 */
export class AuditHead {
  readonly #store: HeadStore;
  readonly #key: Buffer;
  readonly #problem: string | undefined;
  readonly #lasts: Record<AuditSeries, Link>;
  #count: number;

  constructor(store: HeadStore, key: Buffer) {
    const { count, lasts, problem } = readHead(store.auditHead, key);
    this.#store = store;
    this.#key = key;
    this.#problem = problem;
    this.#lasts = { ...lasts };
    this.#count = count;
  }

  /** The last links, also where they could not be kept. */
  get lasts(): Lasts {
    return { ...this.#lasts };
  }

  /** The head as the log of one series uses it. */
  of(series: AuditSeries): SeriesHead {
    const [link, note] = [() => this.#lasts[series], (last: Link) => this.#note(series, last)];
    const count = () => this.#count;
    return {
      problem: this.#problem,
      get count() {
        return count();
      },
      get auditHead() {
        return link();
      },
      set auditHead(last) {
        note(last);
      },
    };
  }

  #note(series: AuditSeries, last: Link): void {
    this.#lasts[series] = last;
    const count = this.#count + 1;
    this.#store.auditHead = signedText({ count, ...this.#lasts }, this.#key).line;
    this.#count = count;
  }
}

/** The last links in one word, for a place that nobody here can change, such as the journal: `41:<hmac>,80:<hmac>`. */
export function anchorOf(lasts: Lasts): string {
  return auditSeries.map((series) => `${lasts[series].seq}:${lasts[series].hmac}`).join();
}

/** The links of an anchor that stands somewhere in a text; `undefined` where none does. */
export function readAnchor(text: string): Lasts | undefined {
  const found = /(?<![0-9a-f])(\d+):([0-9a-f]{64})?,(\d+):([0-9a-f]{64})?(?![0-9a-f])/.exec(text);
  if (!found) return undefined;
  const [, operators, operatorsHmac = '', programs, programsHmac = ''] = found;
  return {
    operators: { seq: Number(operators), hmac: operatorsHmac },
    programs: { seq: Number(programs), hmac: programsHmac },
  };
}
