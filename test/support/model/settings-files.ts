import { renameSync, rmSync } from 'node:fs';
import type { Scratch } from '../scratch.ts';
import type { TestGoogle } from '../use-google.ts';
import type { Random } from './choices.ts';
import { type Content, contentOf, mark, type Pair, type Part, parts, type Settings } from './content.ts';

/** Two texts of one digest, by the daemon's first digest. */
const twins = ['xOLA5g3Yh', 'x7E34Wk32'] as const;
/** What no file may be. */
const badTexts = ['', '{', '{"first": 1}', '{"unknown": 1}', '{"first": {}}', '{"second": {"token": "a"}}'];
const badSecrets = ['{', '[]', '{"token": 5}'];

/** What the sources say: files, and a secret of Secret Manager where there is one. Knows what all programs are to run in the end. */
export class SettingsFiles {
  readonly #scratch: Scratch;
  readonly #google: TestGoogle | undefined;
  readonly #random: Random;
  readonly #shadow: Pair | undefined;
  readonly #files = new Map<Part, Pair | 'bad'>();
  readonly #tokens = new Set<string>();
  /** By part: the numbers that it has had, each with when it was written. */
  readonly #written = new Map<Part, { readonly serial: number; readonly at: number }[]>();
  #abc = 0;
  #guests = 0;
  #serial = 0;

  constructor(scratch: Scratch, random: Random, google: TestGoogle | undefined, shadow: boolean) {
    this.#scratch = scratch;
    this.#random = random;
    this.#google = google;
    google?.secret('secret', []);
    this.#shadow = shadow ? this.pair() : undefined;
    for (const part of parts) this.write(part);
  }

  /** The daemon's environment. */
  get env(): NodeJS.ProcessEnv {
    if (!this.#shadow) return {};
    const { token, twin, serial } = this.#shadow;
    return { HC_SECRET__TOKEN: token, HC_SECRET__TWIN: twin, HC_SECRET__SERIAL: String(serial) };
  }

  get tokens(): readonly string[] {
    return [...this.#tokens];
  }

  /** What only programs that mean harm see. */
  writeGuest(): void {
    const token = `${mark}-guest-${++this.#guests}`;
    this.#tokens.add(token);
    this.#scratch.write('secrets/guest.json', JSON.stringify({ guest: token }));
  }

  isKnown(token: string): boolean {
    return this.#tokens.has(token);
  }

  pair(): Pair {
    const serial = ++this.#serial;
    const token = `${mark}-${serial}-${Math.floor(this.#random() * 1e9).toString(36)}`;
    this.#tokens.add(token);
    return { token, twin: token, serial };
  }

  isFile(part: Part): boolean {
    return part !== 'secret' || !this.#google;
  }

  /** What a part says now; `undefined` when that is nothing good. */
  now(part: Part): Pair | undefined {
    if (part === 'secret' && this.#shadow) return this.#shadow;
    if (!this.isFile(part)) return this.#newestSecret();
    const is = this.#files.get(part);
    return is === 'bad' ? undefined : is;
  }

  get settings(): Settings {
    return {
      ...(Object.fromEntries(parts.map((part) => [part, this.now(part)!])) as Settings),
      abc: twins[this.#abc]!,
    };
  }

  get content(): Content {
    return contentOf(this.settings);
  }

  /** The numbers that a part has had since a time, the one at that time included. */
  since(part: Part, at: number): readonly number[] {
    const all = this.#written.get(part) ?? [];
    const first = all.findLastIndex((one) => one.at <= at);
    return all.slice(Math.max(0, first)).map(({ serial }) => serial);
  }

  /** Gives a part a new content; returns its number. */
  write(part: Part, how: 'in place' | 'by rename' = 'in place'): number {
    const pair = this.pair();
    this.#written.set(part, [...(this.#written.get(part) ?? []), { serial: pair.serial, at: performance.now() }]);
    if (this.isFile(part)) {
      this.#files.set(part, pair);
      this.#put(part, this.#textOf(part), how);
    } else this.#google!.add('secret', JSON.stringify(pair));
    return pair.serial;
  }

  /** Changes a text into another one of the same digest. */
  swapTwins(): void {
    if (this.now('first') === undefined) return;
    this.#abc = 1 - this.#abc;
    this.#put('first', this.#textOf('first'), 'by rename');
  }

  spoil(part: Part): void {
    const pick = <T>(items: readonly T[]) => items[Math.floor(this.#random() * items.length)]!;
    if (!this.isFile(part)) return void this.#google!.add('secret', pick(badSecrets));
    this.#files.set(part, 'bad');
    this.#put(part, pick(badTexts), 'by rename');
  }

  remove(part: Part): void {
    if (!this.isFile(part)) return;
    this.#files.set(part, 'bad');
    rmSync(this.#path(part), { force: true });
  }

  /** Gives what is nothing good a new content. */
  repair(): readonly Part[] {
    const bad = parts.filter((part) => this.now(part) === undefined);
    for (const part of bad) this.write(part);
    return bad;
  }

  /** Disables the newest version of the secret. */
  disableSecret(): void {
    const newest = this.#versions.findLast(({ state }) => state === 'ENABLED');
    if (newest) this.#google!.setState('secret', newest.number, 'DISABLED');
  }

  get #versions() {
    const google = this.#google!;
    return google.store.getSecret(google.name('secret')).versions;
  }

  #newestSecret(): Pair | undefined {
    const newest = this.#versions.findLast(({ state }) => state === 'ENABLED');
    try {
      const pair = newest && JSON.parse(newest.data.toString());
      return this.isKnown(pair?.token) ? pair : undefined;
    } catch {
      return undefined;
    }
  }

  #textOf(part: Part): string {
    return JSON.stringify({ [part]: this.#files.get(part), ...(part === 'first' && { abc: twins[this.#abc] }) });
  }

  #put(part: Part, text: string, how: 'in place' | 'by rename'): void {
    if (how === 'in place') this.#scratch.write(`secrets/${part}.json`, text);
    else renameSync(this.#scratch.write(`secrets/.${part}.tmp`, text), this.#path(part));
  }

  #path(part: Part): string {
    return this.#scratch.path(`secrets/${part}.json`);
  }
}
