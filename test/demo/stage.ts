import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface Played {
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** What is seen of a line; `undefined` hides it. */
  readonly show?: (line: string) => string | undefined;
  /** Its talk for people is shown, too. */
  readonly isLoud?: boolean;
}

/** Runs commands side by side, shows their lines with a name in front, and lets a story wait for one of them. */
export class Stage {
  readonly folder = mkdtempSync(join(tmpdir(), 'hotconf-demo-'));
  readonly #children: ReturnType<typeof spawn>[] = [];
  readonly #byName = new Map<string, ReturnType<typeof spawn>>();
  readonly #waiting: { pattern: RegExp; resolve: (line: string) => void }[] = [];

  constructor() {
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => this.end().then(() => process.exit(1)));
  }

  play(
    name: string,
    script: string,
    args: readonly string[],
    { env = {}, show = (line) => line, isLoud = true }: Played = {},
  ): void {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script, ...args], {
      stdio: ['pipe', 'pipe', isLoud ? 'inherit' : 'ignore'],
      env: { ...process.env, ...env },
    });
    this.#children.push(child);
    this.#byName.set(name, child);
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const shown = show(line);
      if (shown) console.log(`${name.padEnd(9)}| ${shown}`);
      for (const wait of this.#waiting.filter(({ pattern }) => pattern.test(`${name} ${line}`))) {
        this.#waiting.splice(this.#waiting.indexOf(wait), 1);
        wait.resolve(line);
      }
    });
  }

  /** The line that fits, which begins with the name of who says it. */
  until(pattern: RegExp): Promise<string> {
    return new Promise((resolve) => this.#waiting.push({ pattern, resolve }));
  }

  /** Gives a line to a command's stdin. */
  say(name: string, line: string): void {
    this.#byName.get(name)!.stdin!.write(`${line}\n`);
  }

  tell(text: string): void {
    console.log(`\n--- ${text}`);
  }

  /** Ends what was started, and leaves nothing behind. */
  async end(): Promise<void> {
    for (const child of this.#children.reverse()) child.kill();
    await Promise.all(this.#children.map((child) => child.exitCode ?? new Promise((done) => child.once('exit', done))));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** What a demo shows of the daemon's log. */
export function reloadLine(line: string): string | undefined {
  const { event, message } = JSON.parse(line);
  return /config_reload_(completed|failed)|daemon_ready|subscriber_connected/.test(event)
    ? `${event}: ${message}`
    : undefined;
}
