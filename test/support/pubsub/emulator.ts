import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import type { PubsubServer } from './pubsub-server.ts';

let found: string | undefined | 'not looked for' = 'not looked for';

/** The official emulator's program, or `undefined` where the Google Cloud CLI, its emulator or Java is missing. */
export function emulatorProgram(): string | undefined {
  if (found === 'not looked for') found = findProgram();
  return found;
}

function findProgram(): string | undefined {
  try {
    execFileSync('java', ['-version'], { stdio: 'ignore' });
    const root = execFileSync('gcloud', ['info', '--format=value(installation.sdk_root)'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const program = join(root.trim(), 'platform/pubsub-emulator/bin/cloud-pubsub-emulator');
    return existsSync(program) ? program : undefined;
  } catch {
    return undefined;
  }
}

/** Starts the official emulator; it is ready when this resolves. */
export async function startEmulator(port?: number): Promise<PubsubServer> {
  const at = port ?? (await freePort());
  const child = spawn(emulatorProgram()!, ['--host=127.0.0.1', `--port=${at}`], { stdio: ['ignore', 'pipe', 'pipe'] });
  const exit = once(child, 'exit');
  let said = '';
  await new Promise<void>((resolve, reject) => {
    const hear = (text: Buffer) => {
      said += text;
      if (said.includes('Server started')) resolve();
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    exit.then(() => reject(new Error(`the emulator ended: ${said}`)), reject);
  });
  return {
    kind: 'emulator',
    endpoint: `127.0.0.1:${at}`,
    async stop() {
      child.kill('SIGKILL');
      await exit;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
