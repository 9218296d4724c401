import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { reloadLine, Stage } from './stage.ts';

// The whole story in one terminal, on real parts: the daemon, two programs, an edit, a bad edit, the repair.
const root = resolve(import.meta.dirname, '../..');
const stage = new Stage();
const { folder } = stage;
const file = join(folder, 'secrets/app.yaml');
const env = { HOTCONF_SOCKET: join(folder, 'run/default.sock') };

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

stage.tell('The daemon starts on a copy of the example in config/.');
const ready = stage.until(/^daemon .*daemon_ready/);
const daemonArgs = ['start', '--config', join(folder, 'hotconf.yaml')];
// The daemon's screen for people is not part of this story.
stage.play('daemon', join(root, 'daemon/main.ts'), daemonArgs, { env, show: reloadLine, isLoud: false });
await ready;

stage.tell('Two programs connect, each in a process of its own.');
const connected = Promise.all([stage.until(/^billing .*connected/), stage.until(/^web .*connected/)]);
for (const name of ['billing', 'web']) stage.play(name, join(import.meta.dirname, 'program.ts'), [name], { env });
await connected;

stage.tell('secrets/app.yaml is edited: the database moves.');
const moved = Promise.all([stage.until(/^billing .*database/), stage.until(/^web .*database/)]);
edit((text) => text.replace('db.internal', 'db-2.internal'));
await moved;

stage.tell('A bad edit: the url becomes a number. The schema refuses it, and no program hears of it.');
const refused = stage.until(/^daemon .*config_reload_failed/);
const good = readFileSync(file, 'utf8');
edit((text) => text.replace(/url: .*/, 'url: 5432'));
await refused;

stage.tell('The repair, with a new key while we are at it.');
const repaired = Promise.all([stage.until(/^billing .*llm/), stage.until(/^web .*llm/)]);
writeFileSync(file, good.replace('example-key-0001', 'example-key-0002'));
await repaired;

stage.tell('That is all: no restart, and no program ever saw a bad set.');
await stage.end();
