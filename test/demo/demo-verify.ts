import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { reloadLine, Stage } from './stage.ts';

// A wrong database password is added; the program that tries it refuses it, and nobody ever has it.
const root = resolve(import.meta.dirname, '../..');
const stage = new Stage();
const { folder } = stage;
const env = { HOTCONF_SOCKET: join(folder, 'run/default.sock') };
const main = join(root, 'daemon/main.ts');
const script = (name: string) => join(import.meta.dirname, name);
const lay = (name: string, text: string) => writeFileSync(join(folder, name), text, { mode: 0o600 });
const freePort = await new Promise<number>((done) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address() as { port: number };
    server.close(() => done(port));
  });
});
const setPassword = (password: string) => lay('secrets.yaml', `database: { password: ${password} }\n`);

lay('app.schema.json', '{ "properties": { "database": { "required": ["port", "password"] } } }');
lay('defaults.yaml', `database: { port: ${freePort} }\n`);
lay(
  'hotconf.yaml',
  'environment: development\nhotReload: true\nschema: ./app.schema.json\nsources: { defaults: ./defaults.yaml, files: [{ path: ./secrets.yaml }] }\nruntimeDir: ./run\nstateDir: ./state\n',
);
setPassword('first-password');
const file = join(folder, 'hotconf.yaml');

/** Runs a command of the operator and shows what it answers. */
async function operate(command: string, lines: number): Promise<void> {
  console.log(`operator | $ hotconf ${command}`);
  const shown = stage.until(/^operator /);
  let left = lines;
  const show = (line: string) => (left-- > 0 ? line : undefined);
  stage.play('operator', main, [...command.split(' '), '--config', file], { show });
  await shown;
}

stage.tell('A database, the daemon, and two programs: billing tries what it is to run by, web does not.');
const up = stage.until(/^database .*up/);
stage.play('database', script('database.ts'), ['first-password', String(freePort)]);
await up;
const ready = stage.until(/^daemon .*daemon_ready/);
stage.play('daemon', main, ['start', '--config', file], { show: reloadLine, isLoud: false });
await ready;
const connected = Promise.all([stage.until(/^billing .*connected/), stage.until(/^web .*connected/)]);
stage.play('billing', script('verifying-program.ts'), [], { env });
stage.play('web', script('plain-program.ts'), [], { env });
await connected;

stage.tell('A wrong password is saved. Billing cannot log in with it, and nobody gets it.');
const refused = stage.until(/^daemon .*config_reload_failed/);
setPassword('wrong-password');
await refused;

stage.tell('The operator sees who refused it, and why.');
await operate('history', 1);

stage.tell('The right password is saved: all have it.');
stage.say('database', 'second-password');
await stage.until(/^database .*new password/);
const renewed = Promise.all([
  stage.until(/^billing .*works/),
  stage.until(/^web .*new password/),
  stage.until(/^daemon .*config_reload_completed/),
]);
setPassword('second-password');
await renewed;
await operate('history', 1);

await stage.end();
