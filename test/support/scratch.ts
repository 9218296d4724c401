import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A folder of a test's own, with short paths because sockets lie in it. */
export class Scratch {
  readonly folder = mkdtempSync(join(tmpdir(), 'hc-'));

  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  write(name: string, content: string | Buffer, mode = 0o600): string {
    const path = this.path(name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content, { mode });
    return path;
  }

  /** The text of a file; empty where there is none. */
  read(name: string): string {
    return existsSync(this.path(name)) ? readFileSync(this.path(name), 'utf8') : '';
  }

  /** Lets everybody in, as into most folders of a system; at first it is its owner's alone. */
  open(): void {
    chmodSync(this.folder, 0o755);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A scratch folder for each test of a suite. */
export function useScratch(): () => Scratch {
  let scratch: Scratch;
  beforeEach(() => {
    scratch = new Scratch();
  });
  afterEach(() => scratch.remove());
  return () => scratch;
}
