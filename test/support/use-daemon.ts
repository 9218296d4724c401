import { existsSync } from 'node:fs';
import { expect } from 'chai';
import { stringify } from 'yaml';
import { connect } from '../../client/connect.ts';
import type { Config, ConnectOptions } from '../../client/types.ts';
import { Daemon } from '../../daemon/daemon.ts';
import { type Clock, systemClock } from '../../daemon/ops/clock.ts';
import { createLog, type LogLevel } from '../../daemon/ops/log.ts';
import { loadOptions } from '../../daemon/ops/options-file.ts';
import { Redaction } from '../../daemon/ops/redaction.ts';
import { canary, everythingIn, expectNoCanary } from './canary.ts';
import { MemoryStream } from './memory-stream.ts';
import { Scratch } from './scratch.ts';
import { until } from './until.ts';

/** The settings of the tests' application. */
export interface App {
  readonly database: { readonly url: string; readonly poolSize: number };
  readonly features: Readonly<Record<string, boolean>>;
  readonly llm: { readonly key: string };
}

export const appSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  required: ['database'],
  additionalProperties: false,
  properties: {
    database: {
      type: 'object',
      required: ['url'],
      additionalProperties: false,
      properties: { url: { type: 'string', minLength: 3 }, poolSize: { type: 'integer', 'x-secret': false } },
    },
    llm: { type: 'object', properties: { key: { type: 'string' } } },
    features: { type: 'object', additionalProperties: { type: 'boolean' }, 'x-secret': false },
    extra: {},
  },
};

export interface LogLine {
  readonly level: LogLevel;
  readonly event: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

/** A whole daemon in this process, on real files and sockets, with everything it writes at hand. */
export class TestDaemon {
  readonly scratch = new Scratch();
  /** Secrets that no output may hold. */
  readonly canaries: string[] = [];
  readonly #stream = new MemoryStream();
  readonly #configs: Config<App>[] = [];
  daemon: Daemon | undefined;
  options: Record<string, unknown>;
  env: NodeJS.ProcessEnv = {};
  /** For faults that take long to show. */
  clock: Clock = systemClock;

  constructor() {
    this.scratch.write('app.schema.json', JSON.stringify(appSchema));
    this.scratch.write('defaults.yaml', 'database: { poolSize: 5 }\nfeatures: { beta: false }\n');
    this.scratch.write('secrets/app.yaml', `database: { url: ${this.canary()} }\n`);
    this.options = {
      environment: 'production',
      schema: './app.schema.json',
      sources: { defaults: './defaults.yaml', files: [{ path: './secrets' }] },
      reload: { rescan: '1s', startWait: '0s' },
      admin: { rateLimit: { reloads: 1000, per: '1s' } },
      runtimeDir: './run',
      stateDir: './state',
    };
  }

  canary(): string {
    const secret = canary();
    this.canaries.push(secret);
    return secret;
  }

  get socket(): string {
    return this.scratch.path('run/default.sock');
  }

  get log(): LogLine[] {
    return this.#stream.lines.map((line) => JSON.parse(line));
  }

  logged(event: string): LogLine[] {
    return this.log.filter((line) => line.event === event);
  }

  get revision(): number {
    return this.daemon!.reports.summary().revision;
  }

  async start(): Promise<this> {
    const file = this.scratch.write('hotconf.yaml', stringify(this.options));
    const redaction = new Redaction();
    const { log } = createLog({
      level: 'debug',
      format: 'json',
      redaction,
      clock: systemClock,
      stream: this.#stream as never,
    });
    const options = loadOptions(file, this.env);
    this.daemon = new Daemon({ options, env: this.env, log, redaction, clock: this.clock });
    await this.daemon.start();
    return this;
  }

  async connect(options: ConnectOptions<App> = {}): Promise<Config<App>> {
    const config = await connect<App>({ socket: this.socket, name: 'test', ...options });
    this.#configs.push(config);
    return config;
  }

  /** Waits until reloads are over that were under way, and returns how the last one ended. */
  async reloaded(count: number): Promise<LogLine> {
    const ends = () =>
      this.log.filter(({ event }) => event === 'config_reload_completed' || event === 'config_reload_failed');
    await until(`${count} reloads have ended`, () => ends().length >= count);
    return ends()[count - 1]!;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#configs.splice(0).map((config) => config.close()));
    await this.daemon?.stop();
    this.daemon = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    expect(existsSync(this.socket), 'the socket is left behind').equal(false);
    expectNoCanary('the log', this.#stream.lines.join('\n'), this.canaries);
    if (existsSync(this.scratch.path('state')))
      expectNoCanary('the state folder', everythingIn(this.scratch.path('state')), this.canaries);
    this.scratch.remove();
  }
}

/** What would outlive a test: watchers, sockets, children. Timers of node's own come and go and are not counted. */
function leftovers(): string {
  const kinds = new Set(['FSEventWrap', 'PipeWrap', 'PipeServerWrap', 'ProcessWrap', 'MessagePort']);
  const found = process.getActiveResourcesInfo().filter((kind) => kinds.has(kind));
  return found.sort().join(' ');
}

/** A daemon for each test, not yet started. A test that leaves a socket, a watcher or a child behind fails. */
export function useDaemon(): () => TestDaemon {
  let test: TestDaemon;
  let before = '';
  beforeEach(() => {
    before = leftovers();
    test = new TestDaemon();
  });
  afterEach(async () => {
    await test[Symbol.asyncDispose]();
    await until('nothing is left over', () => leftovers().length <= before.length, 5_000);
  });
  return () => test;
}
