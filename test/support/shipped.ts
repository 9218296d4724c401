import { execFileSync, type SpawnOptions, spawn } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { until } from './until.ts';

const root = resolve(import.meta.dirname, '../..');

/** A user without rights, whom nobody is. */
export const nobodysUid = 12_345;

/** The two packages, as `npm pack` makes them, and folders in which they are installed as npm would. */
export class Shipped {
  readonly #folder = mkdtempSync(join(tmpdir(), 'hs-'));
  readonly tarballs: { readonly hotconf: string; readonly client: string };

  constructor() {
    if (!existsSync(join(root, 'dist/daemon/main.js'))) throw new Error('nothing is built: npm run build');
    // Any user has to get at them.
    chmodSync(this.#folder, 0o755);
    const pack = (...args: string[]) => {
      const to = ['--ignore-scripts', '--silent', '--pack-destination', this.#folder];
      const name = execFileSync('npm', ['pack', ...to, ...args], { cwd: root, encoding: 'utf8' }).trim();
      return join(this.#folder, name.split('\n').at(-1)!);
    };
    this.tarballs = { hotconf: pack(), client: pack('--workspace', 'client') };
  }

  /** A new empty folder that any user can read. */
  folder(name: string): string {
    const folder = join(this.#folder, name);
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    return folder;
  }

  /** `npm install <the client's tarball>`, which has no dependencies. */
  installClient(folder: string): string {
    return unpack(this.tarballs.client, join(folder, 'node_modules/@hotconf/client'));
  }

  /**
   * `npm install <the tarball>`: the package, and beside it what it depends on, in the versions of the lock file. Nothing
   * is asked of a registry.
   */
  install(folder: string): string {
    const modules = join(folder, 'node_modules');
    for (const name of dependencies()) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      cpSync(join(root, name), join(folder, name), { recursive: true, verbatimSymlinks: true });
    }
    return unpack(this.tarballs.hotconf, join(modules, 'hotconf'));
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** What `npm ls --omit=dev` would list: the packages of the lock file that are no development's, the outer ones only. */
function dependencies(): readonly string[] {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const names = Object.entries<Record<string, unknown>>(packages)
    .filter(([name, { dev, devOptional, link }]) => name.startsWith('node_modules/') && !dev && !devOptional && !link)
    .map(([name]) => name);
  const outer = names.filter((name) => !names.some((other) => name.startsWith(`${other}/`)));
  return outer.filter((name) => existsSync(join(root, name)));
}

function unpack(tarball: string, to: string): string {
  mkdirSync(to, { recursive: true });
  execFileSync('tar', ['xzf', tarball, '--strip-components=1', '-C', to]);
  return to;
}

/** Packs once for a file of tests. */
export function useShipped(): () => Shipped {
  let shipped: Shipped;
  before(function () {
    this.timeout(60_000);
    shipped = new Shipped();
  });
  after(() => shipped.remove());
  return () => shipped;
}

/** A Node of another version, which `npm run nodes` has brought; `undefined` where it has not. */
export function nodeOf(version: string): string | undefined {
  const path = join(root, 'node_modules/.cache/nodes', version, 'node');
  return existsSync(path) ? path : undefined;
}

/** The Nodes that a package is tried on: the oldest that its `engines` name, and the one of this run. */
export function nodesFor(folder: 'client' | '.'): readonly (readonly [string, string | undefined])[] {
  const { engines } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
  const [, major, minor = '0'] = /^>=(\d+)(?:\.(\d+))?$/.exec(engines.node)!;
  const oldest = `${major}.${minor}.0`;
  return [
    [oldest, nodeOf(oldest)],
    [process.versions.node, process.execPath],
  ];
}

/** A command that goes on, with what it has said so far. */
export class Running {
  output = '';
  readonly child: ReturnType<typeof spawn>;
  readonly ended: Promise<number | string>;

  constructor(command: string, args: readonly string[], options: SpawnOptions) {
    // A group of its own, so that what it starts itself is ended with it.
    this.child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, ...options });
    for (const stream of [this.child.stdout!, this.child.stderr!])
      stream.setEncoding('utf8').on('data', (piece: string) => {
        this.output += piece;
      });
    this.ended = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('close', (code, signal) => resolve(code ?? signal!));
    });
    this.ended.catch(() => {});
  }

  /** Waits for words; fails with all that it has said when it ends without them. */
  async says(words: string | RegExp): Promise<void> {
    const isSaid = () => (typeof words === 'string' ? this.output.includes(words) : words.test(this.output));
    const isOver = () => this.child.exitCode !== null || this.child.signalCode !== null;
    await until(`it says ${words}`, () => isSaid() || isOver(), 20_000).catch((error) => {
      throw new Error(this.output, { cause: error });
    });
    if (!isSaid()) throw new Error(`it has ended: ${this.output}`);
  }

  async stop(): Promise<number | string> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGTERM');
    return this.ended;
  }
}

function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // All of it has ended.
  }
}

/** Commands that are ended when their test is over. */
export function useRunning() {
  const all: Running[] = [];
  afterEach(async () => {
    for (const { child } of all) endGroup(child.pid);
    await Promise.allSettled(all.splice(0).map(({ ended }) => ended));
  });
  return (command: string, args: readonly string[], options: SpawnOptions = {}) => {
    const running = new Running(command, args, options);
    all.push(running);
    return running;
  };
}
