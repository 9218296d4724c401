import { execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadOptions } from '../daemon/ops/options-file.ts';
import { daemonErrors } from '../schemas/errors.ts';
import { freePort } from './support/admin-http.ts';
import { hotconf, useProcesses } from './support/daemon-process.ts';
import { blocks, readme, root, steady } from './support/readme.ts';
import { useScratch } from './support/scratch.ts';
import { until } from './support/until.ts';

describe('the README', () => {
  const scratch = useScratch();
  const run = useProcesses();
  /** The example, in a folder of the test's own, as `npm start` would run it. */
  const lay = () =>
    cpSync(join(root, 'config'), scratch().path('config'), {
      recursive: true,
      filter: (path) => !/\/(run|state)$/.test(path),
    });
  const start = () => run(['start', '--config', 'config/hotconf.yaml'], { cwd: scratch().folder }).ready();
  const edit = () => {
    const file = scratch().path('config/secrets/app.yaml');
    writeFileSync(file, readFileSync(file, 'utf8').replace('example-key-0001', 'example-key-0002'));
  };
  /** As {@link steady}, of this folder and this machine. */
  const ofHere = (text: string) =>
    steady(text)
      .replaceAll(`${scratch().folder}/`, '')
      .replace(/^(web-1|[^\s,]+), config\/hotconf.yaml$/m, 'HOST, config/hotconf.yaml');

  it('shows what each command answers', async () => {
    lay();
    const daemon = await start();
    edit();
    await until('revision 2', () => daemon.logged('config_reload_completed').length === 2);
    const console_ = blocks('console').find((block) => block.startsWith('$ npx hotconf status'));
    const commands = console_!.split(/^\$ npx hotconf /m).slice(1);
    expect(commands).length(8);
    for (const command of commands) await expectAnswer(command);
  });

  it('shows how to go back', async () => {
    lay();
    const daemon = await start();
    edit();
    await until('revision 2', () => daemon.logged('config_reload_completed').length === 2);
    const console_ = blocks('console').find((block) => block.includes('rollback 1'));
    for (const command of console_!.split(/^\$ npx hotconf /m).slice(1)) await expectAnswer(command);
  });

  /** Runs a command as it is shown; what it answers must be what is shown below it. */
  const expectAnswer = async (shown: string) => {
    const [line, ...expected] = shown.split('\n');
    const args = [...line!.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word!);
    const { stdout } = await hotconf(args, { cwd: scratch().folder });
    expect(ofHere(stdout), line).equal(ofHere(expected.join('\n')));
  };

  it('shows how to operate it over HTTP, what the audit log says of that, and what the doctor finds', async function () {
    this.timeout(60_000);
    lay();
    const port = await freePort();
    const [admin] = blocks('yaml').filter((block) => block.startsWith('admin:'));
    const options = scratch().path('config/hotconf.yaml');
    writeFileSync(options, `${readFileSync(options, 'utf8')}\n${admin!.replace('8787', String(port))}`);
    const shell = (line: string) =>
      execFileSync('sh', ['-c', line.replaceAll('127.0.0.1:8787', `127.0.0.1:${port}`)], {
        cwd: scratch().folder,
        encoding: 'utf8',
      });
    shell(blocks('sh').find((block) => block.includes('admin.token'))!);
    await start();
    const shown = blocks('console').filter((block) => /curl|audit|doctor/.test(block));
    expect(shown).length(3);
    const [curl, ...others] = shown;
    // Which limits a machine has is its own affair.
    const ofAnyMachine = (text: string) =>
      ofHere(text)
        .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'UUID')
        .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
        .replace(/Node [\d.]+/, 'Node N')
        .replace(/^(ok {2}|WARN) {2}(inotify|descriptors|disk): .*\n( {6}mend: .*\n)?/gm, '$2\n')
        .replace(/"wait [^"]*"/g, '');
    for (const command of curl!.split(/^\$ /m).slice(1)) {
      const [line, ...expected] = command.split('\n');
      expect(ofAnyMachine(`${shell(line!).trimEnd()}\n`), line).equal(ofAnyMachine(expected.join('\n')));
    }
    for (const command of others.flatMap((block) => block.split(/^\$ npx hotconf /m).slice(1))) {
      const [line, ...expected] = command.split('\n');
      const { stdout } = await hotconf(line!.split(' '), { cwd: scratch().folder });
      expect(ofAnyMachine(stdout), line).equal(ofAnyMachine(expected.join('\n')));
    }
    const page = shell('curl -sS http://127.0.0.1:8787/');
    expect(page).contain('<title>hotconf</title>');
  });

  it('names every route that is there, and options for alerts that are valid', () => {
    const source = ['read', 'change']
      .map((name) => readFileSync(join(root, `daemon/admin/${name}-routes.ts`), 'utf8'))
      .join();
    for (const [, path] of source.matchAll(/'(\/[a-z/-]*)'/g))
      expect(readme, path).match(new RegExp(`[\`, /]${path!.split('/').at(-1)}[\`?, ]`));
    const [alerts] = blocks('yaml').filter((block) => block.startsWith('alerts:'));
    scratch().write('app.schema.json', '{}');
    const text = `schema: ./app.schema.json\nsources: {}\n${alerts}`;
    const options = loadOptions(scratch().write('hotconf.yaml', text), {});
    expect(options.alerts.command).deep.equal(['/usr/local/bin/page', 'ops']);
    expect(Object.keys(JSON.parse(blocks('json')[0]!))).deep.equal([
      'id',
      'key',
      'state',
      'summary',
      'since',
      'host',
      'environment',
    ]);
  });

  it('has options for views, rollout and the last known good that are valid', () => {
    scratch().write('app.schema.json', '{}');
    const chosen = blocks('yaml').filter((block) => /^(views|rollout|lastKnownGood):/.test(block));
    const text = `schema: ./app.schema.json\nsources: {}\n${chosen.join('')}`;
    const options = loadOptions(scratch().write('hotconf.yaml', text), {});
    expect(options.views.map(({ name }) => name)).deep.equal(['default', 'web', 'batch']);
    expect(options.rollout.canary).include({ share: 0.1, bakeMs: 30_000 });
    expect(options.lastKnownGood).property('keyFile');
  });

  it('has a program that runs as it stands', async () => {
    lay();
    await start();
    const [program] = blocks('ts');
    const file = scratch().write('program.ts', program!.replace("'hotconf'", `'${join(root, 'client/index.ts')}'`));
    const env = { ...process.env, HOTCONF_SOCKET: scratch().path('config/run/default.sock') };
    const child = spawn(process.execPath, [file], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    try {
      await until('it has its settings', () => output.includes('old checkout'));
      scratch().write('config/secrets/b.yaml', 'database: { poolSize: 20 }\n');
      await until('it follows', () => output.includes('pool of 10 becomes one of 20'));
    } finally {
      child.kill();
    }
    expect(output).contain('listening on 8081');
  });

  it('has the exit codes of the code, and every file that it links to', () => {
    const table = [...readme.matchAll(/^\| (\d+) +\|/gm)].map(([, code]) => Number(code));
    expect(table).have.members([...new Set([0, ...Object.values(daemonErrors)])]);
    for (const [, link] of readme.matchAll(/\]\(([^)#:]+)\)/g)) expect(existsSync(join(root, link!)), link).equal(true);
  });

  it('names npm scripts that exist', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    for (const [, script] of readme.matchAll(/npm run ([a-z:]+)/g)) expect(scripts).property(script!);
  });

  /** Plays a demo to its end. */
  const play = async (script: string) => {
    const child = spawn(process.execPath, [join(root, script)], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    expect(await new Promise((done) => child.once('close', done))).equal(0);
    return output;
  };

  it('plays its demo', async () => {
    const output = await play('test/demo/demo.ts');
    expect(output).match(/billing +\| database moves from db\.internal:5432 to db-2\.internal:5432/);
    expect(output).match(/daemon +\| config_reload_failed: .*database\.url: must be string/);
    expect(output).match(/web +\| llm has a new API key/);
    for (const secret of ['example-password', 'example-key']) expect(output).not.contain(secret);
  });

  it('plays its demo with Secret Manager, as it shows it', async function () {
    // With the real gcloud, each call of which takes a second or more.
    this.timeout(90_000);
    const output = await play('test/demo/demo-gcp.ts');
    expectChapters(output, 'gcloud secrets versions add');
    for (const secret of ['demo-password', 'demo-key']) expect(output).not.contain(secret);
  });

  it('plays the story of a wrong password, as it shows it', async function () {
    this.timeout(60_000);
    const output = await play('test/demo/demo-verify.ts');
    expectChapters(output, 'password authentication failed');
    for (const secret of ['first-password', 'wrong-password', 'second-password']) expect(output).not.contain(secret);
  });

  /** What a demo says is what is shown. What several processes say at once comes in any order. */
  const expectChapters = (output: string, part: string) => {
    const shown = blocks('').find((block) => block.includes(part));
    const chapters = (text: string) =>
      new Map(
        steady(text)
          .split(/^(?=---)/m)
          .map((chapter) => [chapter.split('\n')[0], chapter.split('\n').filter(Boolean).toSorted()]),
      );
    for (const [title, lines] of chapters(shown!)) expect(chapters(output).get(title), title).deep.equal(lines);
  };

  it('has options for Secret Manager that are valid, and the roles that the errors name', () => {
    const yaml = blocks('yaml').find((block) => block.includes('gcp:'));
    scratch().write('app.schema.json', '{}');
    const options = loadOptions(scratch().write('hotconf.yaml', `schema: ./app.schema.json\n${yaml}`), {});
    expect(options.sources.gcp!.secrets).length(3);
    const errors = ['secret-manager-client', 'pubsub-subscription'].map((name) =>
      readFileSync(join(root, `daemon/sources/gcp/${name}.ts`), 'utf8'),
    );
    for (const [role] of errors.join().matchAll(/roles\/[\w.]+/g))
      if (!role.endsWith('secretVersionAdder')) expect(readme).contain(role);
  });
});
