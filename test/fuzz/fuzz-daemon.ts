import { Writable } from 'node:stream';
import { stringify } from 'yaml';
import { connect } from '../../client/connect.ts';
import type { Config } from '../../client/types.ts';
import { Daemon } from '../../daemon/daemon.ts';
import { systemClock } from '../../daemon/ops/clock.ts';
import { createLog } from '../../daemon/ops/log.ts';
import { loadOptions } from '../../daemon/ops/options-file.ts';
import { Redaction } from '../../daemon/ops/redaction.ts';
import { everythingIn } from '../support/canary.ts';
import { Scratch } from '../support/scratch.ts';
import { until } from '../support/until.ts';
import { type App, appSchema } from '../support/use-daemon.ts';
import { Finding, must, planted } from './face.ts';

/** Events that say that something failed which nobody had foreseen. */
const failures = /"event":"(session_failed|admin_request_failed|uncaught|.*_crashed)"|"errorType":"internal"/;

/** A whole daemon with a planted secret, and an honest program that must go on getting changes. */
export class FuzzDaemon {
  readonly scratch = new Scratch();
  readonly daemon: Daemon;
  readonly honest: Config<App>;
  /** Texts that nothing which the daemon writes may hold. */
  readonly secrets: readonly string[];
  readonly #log: WatchedLog;
  #edits = 0;

  private constructor(scratch: Scratch, daemon: Daemon, honest: Config<App>, log: WatchedLog) {
    this.scratch = scratch;
    this.daemon = daemon;
    this.honest = honest;
    this.#log = log;
    this.secrets = log.secrets;
  }

  static async start(
    more: (scratch: Scratch) => object = () => ({}),
    secrets: readonly string[] = [],
  ): Promise<FuzzDaemon> {
    const scratch = new Scratch();
    scratch.write('app.schema.json', JSON.stringify(appSchema));
    scratch.write('defaults.yaml', 'features: { beta: false }\n');
    scratch.write('secrets/app.yaml', settingsOf(0));
    const sources = { defaults: './defaults.yaml', files: ['./secrets'] };
    const views = { default: { mayRotate: true }, web: { include: ['features.**'], mayRotate: true } };
    const { sources: others, ...rest } = more(scratch) as { sources?: object };
    const options = {
      environment: 'production',
      schema: './app.schema.json',
      sources: { ...sources, ...others },
      views,
    };
    const folders = { runtimeDir: './run', stateDir: './state', reload: { quiet: '5ms', startWait: '0s' } };
    const file = scratch.write('hotconf.yaml', stringify({ ...options, ...folders, ...rest }));
    const log = new WatchedLog([planted, ...secrets]);
    const redaction = new Redaction();
    const parts = { level: 'debug', format: 'json', redaction, clock: systemClock, stream: log as never } as const;
    const daemon = new Daemon({ options: loadOptions(file, {}), env: {}, log: createLog(parts).log, redaction });
    await daemon.start();
    const honest = await connect<App>({ socket: scratch.path('run/default.sock'), name: 'honest' });
    return new FuzzDaemon(scratch, daemon, honest, log);
  }

  socket(name: string): string {
    return this.scratch.path('run', `${name}.sock`);
  }

  /** What the log has shown since the last time. */
  expectQuietLog(): void {
    const [found] = this.#log.found.splice(0);
    if (found) throw new Finding(found);
  }

  expectNoSecret(where: string, text: string): void {
    must(!this.secrets.some((secret) => text.includes(secret)), `${where} holds a planted secret`);
  }

  /** An edit reaches the honest program. */
  async expectHonestServed(): Promise<void> {
    const edit = ++this.#edits;
    this.scratch.write('secrets/app.yaml', settingsOf(edit));
    const isThere = () => this.honest.settings.database.poolSize === edit;
    await until('it is there', isThere, 20_000).catch(() => {
      throw new Finding('an honest program does not get a change');
    });
    this.expectQuietLog();
  }

  async close(): Promise<void> {
    await this.honest.close();
    await this.daemon.stop();
    // Names that programs give themselves are kept as they are: they are how programs are known again after a restart.
    const written = everythingIn(this.scratch.path('state')).replace(/"voter":"[^"]*"/g, '');
    this.scratch.remove();
    this.expectNoSecret('the state folder', written);
  }
}

function settingsOf(edit: number): string {
  return `database: { url: "${planted}", poolSize: ${edit} }\n`;
}

/** Looks at each piece of the log and keeps none. */
class WatchedLog extends Writable {
  readonly found: string[] = [];
  readonly secrets: readonly string[];

  constructor(secrets: readonly string[]) {
    super();
    this.secrets = secrets;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const text = chunk.toString();
    if (this.secrets.some((secret) => text.includes(secret))) this.found.push('the log holds a planted secret');
    const failed = failures.test(text) && /"message":"(.{0,300}?)"/.exec(text)?.[1];
    if (failed) this.found.push(`the log says: ${failed}`);
    done();
  }
}
