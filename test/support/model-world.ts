import { randomBytes } from 'node:crypto';
import { cpSync, renameSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { connect } from '../../client/connect.ts';
import type { Config, Snapshot } from '../../client/types.ts';
import { everythingIn, expectNoCanary } from './canary.ts';
import { fastClock } from './fast-clock.ts';
import type { PubsubServer } from './pubsub/pubsub-server.ts';
import { mulberry32 } from './random.ts';
import { until } from './until.ts';
import { TestDaemon } from './use-daemon.ts';
import { TestGoogle } from './use-google.ts';

/** Two values that always change together, so that a mix of two contents shows. */
interface Pair {
  readonly token: string;
  readonly twin: string;
}

interface Settings {
  readonly first?: Pair;
  readonly second?: Pair;
  readonly secret?: Pair;
  /** The verifying program wants no such settings. */
  readonly refused?: boolean;
}

const pair = {
  type: 'object',
  required: ['token', 'twin'],
  properties: { token: { type: 'string', minLength: 8 }, twin: { type: 'string', minLength: 8 } },
};
const schema = {
  required: ['first', 'second', 'secret'],
  additionalProperties: false,
  properties: { first: pair, second: pair, secret: pair, refused: { type: 'boolean' } },
};
const mark = 'QxCanaryQx';

/** What a program has accepted, in order. */
class Witness {
  readonly name: string;
  readonly config: Config<Settings>;
  readonly accepted: Snapshot<Settings>[];

  constructor(name: string, config: Config<Settings>) {
    this.name = name;
    this.config = config;
    this.accepted = [config.snapshot];
    config.on('change', (snapshot) => void this.accepted.push(snapshot));
  }
}

/**
 * A daemon with files and secrets, three programs, and the rules that must hold whatever happens to them. `step` does one
 * random thing; `settle` mends everything and checks.
 */
export class ModelWorld {
  readonly test = new TestDaemon();
  readonly #google: TestGoogle;
  readonly #witnesses: Witness[] = [];
  readonly #random: () => number;
  /** Every content that was ever right. */
  readonly #tokens = new Set<string>();
  #count = 0;
  #version = 0;
  /** What each thing did, for a failure's message. */
  readonly done: string[] = [];

  private constructor(seed: number, google: TestGoogle) {
    this.#random = mulberry32(seed);
    this.#google = google;
  }

  static async start(seed: number, pubsub: PubsubServer): Promise<ModelWorld> {
    const world = new ModelWorld(seed, await TestGoogle.start(pubsub));
    const { test } = world;
    test.clock = fastClock(10);
    test.scratch.write('app.schema.json', JSON.stringify(schema));
    test.scratch.write('lkg.key', `${randomBytes(32).toString('base64')}\n`);
    rmSync(test.scratch.path('secrets/app.yaml'));
    rmSync(test.scratch.path('defaults.yaml'));
    world.#google.secret('secret', []);
    for (const file of ['first', 'second']) world.#write(file, world.#pair());
    world.#add(JSON.stringify(world.#pair()));
    Object.assign(test.options, {
      sources: {
        files: [{ path: './secrets' }],
        gcp: world.#google.options({ secrets: [{ secret: 'secret', at: 'secret', format: 'json' }] }),
      },
      reload: { quiet: '80ms', rescan: '2s', startWait: '0s' },
      lastKnownGood: { keyFile: './lkg.key' },
      rollout: { verifyTimeout: '5s' },
      views: { default: {}, part: { include: ['second', 'secret'] } },
    });
    await test.start();
    await world.#connect('plain', 'default');
    await world.#connect('verifying', 'default', ({ refused }) => {
      if (refused) throw new Error('these settings will not do');
    });
    await world.#connect('narrow', 'part');
    return world;
  }

  async step(): Promise<void> {
    const [name, act] = this.#pick(this.#steps);
    this.done.push(name);
    await act();
    await sleep(this.#random() * 15);
  }

  /** Mends everything, waits until it is quiet, and checks what must hold. */
  async settle(): Promise<void> {
    const settings = { first: this.#pair(), second: this.#pair(), secret: this.#pair() };
    this.#write('first', settings.first);
    this.#write('second', settings.second);
    this.#add(JSON.stringify(settings.secret));
    await this.test.daemon!.reload({ cause: 'operator' }, { acceptMissing: true });
    const { second, secret } = settings;
    const isThere = (witness: Witness) =>
      JSON.stringify(sorted(witness.config.settings)) ===
      JSON.stringify(sorted(witness.name === 'narrow' ? { second, secret } : settings));
    await until(`all programs have the end`, () => this.#witnesses.every(isThere), 15_000);
    this.#check();
  }

  async stop(): Promise<void> {
    for (const { config } of this.#witnesses) await config.close();
    await this.test.stop();
    await this.#google.stop();
    this.#expectNoLeak();
    this.test.scratch.remove();
  }

  get #steps(): readonly (readonly [string, () => unknown])[] {
    const file = this.#pick(['first', 'second']);
    return [
      ['edit', () => this.#write(file, this.#pair())],
      ['edit', () => this.#write(file, this.#pair())],
      ['rename over', () => this.#replace(file, JSON.stringify({ [file]: this.#pair() }))],
      [
        'bad content',
        () => this.#replace(file, this.#pick(['', '{', '{"first": 1}', '{"unknown": 1}', '{"first": {}}'])),
      ],
      ['delete', () => rmSync(this.#path(file), { force: true })],
      ['refused', () => this.#replace(file, JSON.stringify({ [file]: this.#pair(), refused: true }))],
      ['event', () => this.#add(JSON.stringify(this.#pair()))],
      ['bad event', () => this.#add(this.#pick(['{', '[]', '{"token": 5}']))],
      ['disable', () => this.#google.setState('secret', this.#version, 'DISABLED')],
      ['rollback', () => this.#rollback()],
      ['unpin', () => this.test.daemon!.reload({ cause: 'operator' }, { acceptMissing: this.#random() < 0.3 })],
      ['reload of a program', () => this.#witnesses[0]!.config.reload().catch(() => {})],
      ...(this.#random() < 0.25
        ? ([
            ['restart', () => this.#restart()],
            ['kill', () => this.#kill()],
          ] as const)
        : []),
    ];
  }

  async #restart(): Promise<void> {
    await this.test.daemon!.stop();
    await this.#startAgain();
  }

  /** As `kill -9` leaves it: the state folder is what it was at this instant, and nobody has said goodbye. */
  async #kill(): Promise<void> {
    const [state, image] = [this.test.scratch.path('state'), this.test.scratch.path('image')];
    copyLive(state, image);
    await this.test.daemon!.stop();
    rmSync(state, { recursive: true });
    renameSync(image, state);
    await this.#startAgain();
  }

  /** A start may find nothing that it could serve, and no last known good yet; then a person mends it. */
  async #startAgain(): Promise<void> {
    try {
      await this.test.start();
    } catch {
      this.#write('first', this.#pair());
      this.#write('second', this.#pair());
      this.#add(JSON.stringify(this.#pair()));
      await this.test.start();
    }
  }

  async #rollback(): Promise<void> {
    const { daemon, revision } = this.test;
    await daemon!.rollback({ to: Math.max(1, revision - Math.floor(this.#random() * 5)) }, {}).catch(({ code }) => {
      expect(code).equal('revision_gone');
    });
  }

  async #connect(name: string, view: string, verify?: (settings: Settings) => void): Promise<void> {
    const socket = this.test.scratch.path(`run/${view}.sock`);
    const config = await connect<Settings>({ socket, name, ...(verify && { verify }) });
    this.#witnesses.push(new Witness(name, config));
  }

  #check(): void {
    const served = new Map<string, string>();
    const committed = new Set([
      ...this.test.daemon!.reports.history().map(({ epoch, revision }) => `${epoch} ${revision}`),
      ...this.test.logged('snapshot_restored').map(({ epoch, revision }) => `${epoch} ${revision}`),
    ]);
    for (const { name, accepted } of this.#witnesses) {
      for (const [i, { epoch, revision, settings }] of accepted.entries()) {
        const where = `${name} at revision ${revision}`;
        const previous = accepted[i - 1];
        if (previous?.epoch === epoch) expect(revision, `${where} goes back`).greaterThan(previous.revision);
        expect(committed.has(`${epoch} ${revision}`), `${where} was never committed`).equal(true);
        const pairs = [settings.first, settings.second, settings.secret].filter((part) => part !== undefined);
        expect(pairs.length, `${where} has it all`).equal(name === 'narrow' ? 2 : 3);
        for (const { token, twin } of pairs) {
          expect(token, `${where} is torn`).equal(twin);
          expect(this.#tokens.has(token), `${where} was never right`).equal(true);
        }
        if (name === 'verifying') expect(settings.refused, `${where} is refused`).not.equal(true);
        const key = `${name === 'narrow'} ${epoch} ${revision}`;
        const text = JSON.stringify(sorted(settings));
        expect(served.get(key) ?? text, `${where} is not what others have`).equal(text);
        served.set(key, text);
      }
      accepted.splice(0, accepted.length - 1);
    }
  }

  #expectNoLeak(): void {
    const written =
      this.test.log.map((line) => JSON.stringify(line)).join('\n') + everythingIn(this.test.scratch.path('state'));
    expect(written.includes(mark), 'a value is in the log or in the state folder').equal(false);
    expectNoCanary('the log or the state folder', written, [...this.#tokens].slice(-200));
  }

  #pair(): Pair {
    const token = `${mark}-${++this.#count}-${Math.floor(this.#random() * 1e9).toString(36)}`;
    this.#tokens.add(token);
    return { token, twin: token };
  }

  #path(file: string): string {
    return this.test.scratch.path(`secrets/${file}.json`);
  }

  #write(file: string, content: Pair): void {
    this.test.scratch.write(`secrets/${file}.json`, JSON.stringify({ [file]: content }));
  }

  #replace(file: string, content: string): void {
    renameSync(this.test.scratch.write(`secrets/.${file}.tmp`, content), this.#path(file));
  }

  #add(content: string): void {
    this.#version = this.#google.add('secret', content);
  }

  #pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)]!;
  }
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}

/** Copies a folder in which a temporary file may be renamed meanwhile; then it is copied again. */
function copyLive(from: string, to: string): void {
  for (let tries = 1; ; tries++) {
    try {
      return cpSync(from, to, { recursive: true });
    } catch (error) {
      rmSync(to, { recursive: true, force: true });
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || tries === 10) throw error;
    }
  }
}
