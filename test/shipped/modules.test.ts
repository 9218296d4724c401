import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { nodesFor, useRunning, useShipped } from '../support/shipped.ts';
import { skipBecause } from '../support/skip.ts';
import { useDaemon } from '../support/use-daemon.ts';

const root = resolve(import.meta.dirname, '../..');
const bin = (name: string) => join(root, 'node_modules/.bin', name);
const interfaces = 'interface App { database: { url: string; poolSize: number }; llm?: { key: string } }';

/** Each package, as what a program imports it. */
const packages = [
  { name: '@hotconf/client', workspace: 'client', install: 'installClient' },
  { name: 'hotconf', workspace: '.', install: 'install' },
] as const;

for (const { name, workspace, install } of packages)
  describe(`${name}, as it is published`, function () {
    this.timeout(60_000);
    const shipped = useShipped();
    const test = useDaemon();
    const start = useRunning();
    let folder: string;
    let installed: string;
    before(() => {
      folder = shipped().folder(`program-of-${workspace}`);
      installed = shipped()[install](folder);
      writeFileSync(join(folder, 'package.json'), '{ "name": "program", "version": "1.0.0" }');
    });
    const run = async (node: string, file: string, source: string) => {
      writeFileSync(join(folder, file), source);
      const env = { PATH: process.env.PATH!, HOTCONF_SOCKET: test().socket };
      // Not at once: the daemon of the test lives in this process.
      const running = start(node, [file], { cwd: folder, env });
      const code = await running.ended;
      return { code, output: running.output };
    };
    const tells = `async (connect, createMemoryConfig) => {
      const config = await connect({ name: 'program', keepAlive: false });
      console.log(config.settings.database.poolSize, createMemoryConfig({ a: 1 }).get('a'));
    }`;

    // hotconf's own engines are those of its daemon; what it exports runs where the client does.
    for (const [version, node] of nodesFor('client'))
      for (const [kind, file, source] of [
        [
          'an ES module',
          'program.mjs',
          `import { connect, createMemoryConfig } from '${name}'; await (${tells})(connect, createMemoryConfig);`,
        ],
        [
          'CommonJS',
          'program.cjs',
          `const { connect, createMemoryConfig } = require('${name}'); (${tells})(connect, createMemoryConfig);`,
        ],
      ] as const)
        it(`runs in ${kind} on Node ${version}, and lets a script end`, async function () {
          if (!node) return skipBecause(this, `Node ${version} is not here (npm run nodes)`);
          await test().start();
          expect(await run(node, file, source)).deep.equal({ code: 0, output: '5 1\n' });
        });

    it('is one copy of the code for both kinds of module', async () => {
      const source = `import { ClientError as one } from '${name}'; import { createRequire } from 'node:module';
        console.log(one === createRequire(import.meta.url)('${name}').ClientError);`;
      expect((await run(process.execPath, 'both.mjs', source)).output).equal('true\n');
    });

    for (const [module, moduleResolution] of [
      ['nodenext', 'nodenext'],
      ['node18', 'node16'],
      ['node16', 'node16'],
      ['esnext', 'bundler'],
      ['commonjs', 'bundler'],
    ] as const)
      it(`has types under module ${module}, resolution ${moduleResolution}, and nothing in them is wrong`, () => {
        const source = `import { connect, type Config } from '${name}';
          ${interfaces}
          export async function use(): Promise<Config<App>> {
            const config = await connect<App>({ name: 'typed' });
            const url: string = config.get('database.url');
            const key: string | undefined = config.get('llm.key');
            config.watch('database', async ({ poolSize }) => [poolSize, url, key]);
            // @ts-expect-error there is no such path
            config.get('database.ulr');
            return config;
          }`;
        for (const file of ['typed.mts', 'typed.cts', 'typed.ts']) writeFileSync(join(folder, file), source);
        const options = {
          module,
          moduleResolution,
          target: 'es2022',
          lib: ['es2022', 'esnext.disposable'],
          strict: true,
        };
        // Our own declarations are checked, too.
        const compilerOptions = {
          ...options,
          noEmit: true,
          skipLibCheck: false,
          types: ['node'],
          typeRoots: [join(root, 'node_modules/@types')],
        };
        const files = moduleResolution === 'bundler' ? ['typed.ts'] : ['typed.mts', 'typed.cts', 'typed.ts'];
        writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
        const { stdout, status } = spawnSync(bin('tsc'), ['-p', folder], { encoding: 'utf8' });
        expect(stdout).equal('');
        expect(status).equal(0);
      });

    it('is right for attw and publint', () => {
      const tarball = shipped().tarballs[workspace === 'client' ? 'client' : 'hotconf'];
      const attw = spawnSync(bin('attw'), [tarball, '--format', 'json', '--exclude-entrypoints', './package.json'], {
        encoding: 'utf8',
      });
      const { problems = {} } = JSON.parse(attw.stdout);
      expect(problems).deep.equal({});
      expect(attw.status).equal(0);
      const { stdout, stderr, status } = spawnSync(bin('publint'), ['run', tarball, '--strict'], { encoding: 'utf8' });
      expect(status, stdout + stderr).equal(0);
    });

    it('runs nothing when it is installed', () => {
      const { scripts = {} } = JSON.parse(
        execFileSync(
          'tar',
          ['xzOf', shipped().tarballs[workspace === 'client' ? 'client' : 'hotconf'], 'package/package.json'],
          { encoding: 'utf8' },
        ),
      );
      for (const script of ['preinstall', 'install', 'postinstall', 'prepare']) expect(scripts).not.property(script);
    });

    if (workspace === 'client')
      it('is small and depends on nothing', () => {
        const files = readdirSync(installed, { recursive: true, withFileTypes: true }).filter((entry) =>
          entry.isFile(),
        );
        const bytes = files
          .map((entry) => statSync(join(entry.parentPath, entry.name)).size)
          .reduce((sum, size) => sum + size, 0);
        expect(bytes / 1024, 'KiB').lessThan(200);
        expect(readdirSync(join(folder, 'node_modules'))).deep.equal(['@hotconf']);
      });
  });
