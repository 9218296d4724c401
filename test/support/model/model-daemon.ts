import { randomBytes } from 'node:crypto';
import { cpSync, existsSync, renameSync, rmSync } from 'node:fs';
import { stringify } from 'yaml';
import { Daemon } from '../../../daemon/daemon.ts';
import type { Clock } from '../../../daemon/ops/clock.ts';
import { createLog } from '../../../daemon/ops/log.ts';
import type { Options } from '../../../daemon/ops/options.ts';
import { loadOptions } from '../../../daemon/ops/options-file.ts';
import { Redaction } from '../../../daemon/ops/redaction.ts';
import { askHttp, type HttpAnswer } from '../admin-http.ts';
import { fastClock } from '../fast-clock.ts';
import { MemoryStream } from '../memory-stream.ts';
import { Scratch } from '../scratch.ts';
import { appSchema } from './content.ts';

/** How many times as fast as real time the daemon and its programs live. */
export const times = 10;

export interface LogEntry {
  readonly level: string;
  readonly event: string;
  readonly message: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the daemon logs
  readonly fields: Readonly<Record<string, any>>;
}

export interface ModelDaemonParts {
  readonly options: object;
  readonly onLog: (entry: LogEntry) => void;
  /** A timer of the daemon has thrown: outside of a test that would end the process. */
  readonly onCrash: (error: Error) => void;
  readonly env: NodeJS.ProcessEnv;
  readonly level?: string;
}

/** A daemon in this process that can be stopped, killed and started again, and whose log is heard in the turn of each line. */
export class ModelDaemon {
  readonly scratch = new Scratch();
  readonly #options: Record<string, unknown>;
  readonly #env: NodeJS.ProcessEnv;
  #loaded: Options | undefined;
  readonly #onLog: (entry: LogEntry) => void;
  readonly #onCrash: (error: Error) => void;
  readonly #stream = new MemoryStream();
  readonly level: string;
  daemon: Daemon | undefined;

  constructor({ options, onLog, onCrash, env, level = 'debug' }: ModelDaemonParts) {
    this.#onLog = onLog;
    this.#onCrash = onCrash;
    this.#env = env;
    this.level = level;
    this.scratch.write('app.schema.json', JSON.stringify(appSchema));
    this.scratch.write('lkg.key', `${randomBytes(32).toString('base64')}\n`);
    this.#options = {
      environment: 'production',
      schema: './app.schema.json',
      admin: { rateLimit: { reloads: 1000, per: '1s' } },
      runtimeDir: './run',
      stateDir: './state',
      ...options,
    };
  }

  /** Everything that was logged, as it was written. */
  get logText(): string {
    return this.#stream.text;
  }

  socket(view: string): string {
    return this.scratch.path(`run/${view}.sock`);
  }

  async start(): Promise<void> {
    const file = this.scratch.write('hotconf.yaml', stringify(this.#options));
    this.#loaded ??= loadOptions(file, this.#env);
    const clock = this.#clock();
    const redaction = new Redaction();
    const { log: write } = createLog({
      level: this.level,
      format: 'json',
      redaction,
      clock,
      stream: this.#stream as never,
    });
    let isOurs = () => true;
    const daemon: Daemon = new Daemon({
      // Compiling their schema costs more than the rest of a start.
      options: this.#loaded,
      env: this.#env,
      redaction,
      clock,
      log: (level, event, message, fields = {}) => {
        if (isOurs()) this.#onLog({ level, event, message, fields });
        write(level, event, message, fields);
      },
    });
    this.daemon = daemon;
    // What a killed one would not have said is not heard.
    isOurs = () => this.daemon === daemon;
    await daemon.start();
  }

  #clock(): Clock {
    const clock = fastClock(times);
    const guarded = (callback: () => void) => () => {
      try {
        callback();
      } catch (error) {
        this.#onCrash(error as Error);
      }
    };
    return { ...clock, after: (ms, callback) => clock.after(ms, guarded(callback)) };
  }

  async stop(): Promise<void> {
    await this.daemon?.stop();
    this.daemon = undefined;
  }

  /** As `kill -9` leaves it: the state folder is what it was at this instant. Its programs must not hear what it says now. */
  async kill(): Promise<void> {
    const [state, image] = [this.scratch.path('state'), this.scratch.path('image')];
    copyLive(state, image);
    const { daemon } = this;
    this.daemon = undefined;
    await daemon?.stop();
    rmSync(state, { recursive: true });
    renameSync(image, state);
  }

  /** An operator's request on the admin socket. */
  post(path: string, body: object = {}): Promise<HttpAnswer> {
    return askHttp({ socketPath: this.scratch.path('run/admin.sock') }, `/admin/${path}`, { method: 'POST', body });
  }

  get isSocketThere(): boolean {
    return ['default', 'part', 'admin'].some((name) => existsSync(this.socket(name)));
  }
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
