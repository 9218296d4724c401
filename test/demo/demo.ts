import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

// The whole story in one terminal, on real parts: the daemon, two programs, an edit, a bad edit, the repair.
const root = resolve(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'hotconf-demo-'));
const file = join(folder, 'secrets/app.yaml');
const socket = join(folder, 'run/default.sock');
const children: ReturnType<typeof spawn>[] = [];
const waiting: { pattern: RegExp; resolve: () => void }[] = [];

/** Runs a command, shows its lines with a name in front, and lets the story wait for one of them. */
function play(name: string, script: string, args: readonly string[], show: (line: string) => string | undefined): void {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script, ...args], {
    // The daemon's screen for people is not part of this story.
    stdio: ['ignore', 'pipe', name === 'daemon' ? 'ignore' : 'inherit'],
    env: { ...process.env, HOTCONF_SOCKET: socket },
  });
  children.push(child);
  createInterface({ input: child.stdout }).on('line', (line) => {
    const shown = show(line);
    if (shown) console.log(`${name.padEnd(9)}| ${shown}`);
    for (const wait of waiting.filter(({ pattern }) => pattern.test(`${name} ${line}`))) {
      waiting.splice(waiting.indexOf(wait), 1);
      wait.resolve();
    }
  });
}

/** Ends what was started, and leaves nothing behind. */
async function end(): Promise<void> {
  for (const child of children.reverse()) child.kill();
  await Promise.all(children.map((child) => child.exitCode ?? new Promise((done) => child.once('exit', done))));
  rmSync(folder, { recursive: true, force: true });
}

function until(pattern: RegExp): Promise<void> {
  return new Promise((resolve) => waiting.push({ pattern, resolve }));
}

function tell(text: string): void {
  console.log(`\n--- ${text}`);
}

function edit(change: (text: string) => string): void {
  writeFileSync(file, change(readFileSync(file, 'utf8')));
}

cpSync(join(root, 'config'), folder, { recursive: true, filter: (path) => !/\/(run|state)$/.test(path) });

// The story needs values that it knows, whatever the example's have been changed to.
rmSync(join(folder, 'secrets'), { recursive: true });
mkdirSync(join(folder, 'secrets'));
writeFileSync(
  file,
  'database:\n  url: postgres://billing:example-password@db.internal:5432/billing\nllm:\n  geminiApiKey: example-key-0001\n',
);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => end().then(() => process.exit(1)));

tell('The daemon starts on a copy of the example in config/.');
const ready = until(/^daemon .*daemon_ready/);
play('daemon', join(root, 'daemon/main.ts'), ['start', '--config', join(folder, 'hotconf.yaml')], (line) => {
  const { event, message } = JSON.parse(line);
  return /config_reload_(completed|failed)|daemon_ready|subscriber_connected/.test(event)
    ? `${event}: ${message}`
    : undefined;
});
await ready;

tell('Two programs connect, each in a process of its own.');
const connected = Promise.all([until(/^billing .*connected/), until(/^web .*connected/)]);
for (const name of ['billing', 'web']) play(name, join(import.meta.dirname, 'program.ts'), [name], (line) => line);
await connected;

tell('secrets/app.yaml is edited: the database moves.');
const moved = Promise.all([until(/^billing .*database/), until(/^web .*database/)]);
edit((text) => text.replace('db.internal', 'db-2.internal'));
await moved;

tell('A bad edit: the url becomes a number. The schema refuses it, and no program hears of it.');
const refused = until(/^daemon .*config_reload_failed/);
const good = readFileSync(file, 'utf8');
edit((text) => text.replace(/url: .*/, 'url: 5432'));
await refused;

tell('The repair, with a new key while we are at it.');
const repaired = Promise.all([until(/^billing .*llm/), until(/^web .*llm/)]);
writeFileSync(file, good.replace('example-key-0001', 'example-key-0002'));
await repaired;

tell('That is all: no restart, and no program ever saw a bad set.');
await end();
