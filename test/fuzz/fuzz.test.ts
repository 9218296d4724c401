import { execFile } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { runInChild } from './face-child.ts';
import { faces } from './faces/faces.ts';
import { endlessGrowth } from './memory.ts';
import { Mutator } from './mutate.ts';

const root = resolve(import.meta.dirname, '../..');
const module = join(import.meta.dirname, 'faces/faces.ts');
const faultyModule = join(root, 'test/fixtures/faulty-faces.ts');
/** Those with a whole daemon try fewer inputs a second. */
const counts: Readonly<Record<string, number>> = { ipc: 120, http: 120, pubsub: 40, sealed: 60, options: 100 };

describe('fuzzing', function () {
  this.timeout(120_000);

  for (const face of Object.keys(faces)) {
    const count = counts[face] ?? 400;
    it(`finds nothing in ${count} inputs for ${face}, and reaches its code (npm run fuzz -- --face ${face} --seed 1)`, async () => {
      const { inputs, findings, coverage } = await runInChild({ face, module, seed: 1, count });
      expect(findings.map(({ what }) => what)).deep.equal([]);
      expect(inputs).equal(count);
      expect(coverage.functions).greaterThan(10);
      expect(coverage.branches / coverage.knownBranches).greaterThan(0.5);
    });
  }

  it('tries the same inputs with the same seed, and others with another', async () => {
    const digest = async (seed: number) => (await runInChild({ face: 'json', module, seed, count: 300 })).digest;
    const [one, same, other] = await Promise.all([digest(5), digest(5), digest(6)]);
    expect(same).equal(one);
    expect(other).not.equal(one);
  });

  describe('finds a planted fault', () => {
    const run = (face: string, count = 3_000, silenceMs = 60_000) =>
      runInChild({ face, module: faultyModule, seed: 1, count }, silenceMs);
    const cases: readonly [face: string, what: RegExp, count?: number, silenceMs?: number][] = [
      ['throws', /^TypeError: a planted fault \(test\/fixtures/],
      ['rejects', /^nobody caught RangeError: nobody waits for this/],
      ['exits', /^process.exit is called$/],
      ['dies', /^an input ends its process \(SIGKILL\)/],
      ['hangs', /^an input holds its process up for 5000 ms/, 3_000, 5_000],
      ['blocks', /^the event loop is busy for more than 1000 ms$/, 60],
      ['leaks', /^memory grows without an end$/, 10_000],
      ['harms', /^Error: others are harmed/],
      ['misreads', /^another reader reads it differently$/],
    ];
    for (const [face, what, ...limits] of cases) {
      it(`one that ${face}`, async () => {
        const { findings } = await run(face, ...limits);
        expect(findings).length(1);
        expect(findings[0]!.what).match(what);
        if (!/leaks|harms|misreads/.test(face)) expect(findings[0]!.input.includes('x')).equal(true);
      });
    }

    it('behind four conditions, because what reaches a new branch is kept', async () => {
      expect((await run('stairs', 10_000)).findings.map(({ what }) => what).join()).match(/the top of the stairs/);
      expect((await run('blindStairs', 10_000)).findings).deep.equal([]);
    });
  });

  it('ends with code 1 after a finding, and names a file with the input and the command that tries it again', async () => {
    const fuzz = (...args: readonly string[]) =>
      new Promise<{ code: unknown; text: string }>((done) => {
        const all = [
          '--disable-warning=ExperimentalWarning',
          join(root, 'test/fuzz/fuzz.ts'),
          '--module',
          faultyModule,
          ...args,
        ];
        execFile(process.execPath, all, (error, stdout, stderr) =>
          done({ code: error?.code ?? 0, text: stdout + stderr }),
        );
      });
    const { code, text } = await fuzz('--face', 'throws', '--seed', '1', '--count', '500');
    expect(code).equal(1);
    expect(text)
      .match(/throws: seed 1, 500 inputs .* reached \d+ functions, \d+ of \d+ branches/)
      .contain('a planted fault');
    const [, file = ''] = /this input again: npm run fuzz -- .*--face throws --input (\S+)/.exec(text)!;
    expect(readFileSync(join(root, file)).includes('x')).equal(true);
    expect(await fuzz('--face', 'throws', '--input', join(root, file))).deep.include({ code: 1 });
    rmSync(join(root, file));
    expect((await fuzz('--face', 'nothing')).code).equal(64);
  });
});

describe('a mutator', () => {
  it('bounds what it makes, and changes most inputs', () => {
    const mutator = new Mutator(1, ['word']);
    const corpus = [Buffer.alloc(0), Buffer.from('a: 1\nb: 2\n'), Buffer.alloc(5_000, 'x')];
    const all = Array.from({ length: 2_000 }, () => mutator.next(corpus));
    expect(Math.max(...all.map(({ length }) => length))).at.most(128 * 1024);
    const texts = new Set(all.map((input) => input.toString('latin1')));
    expect(texts.size).greaterThan(1_200);
  });
});

describe('growth of memory', () => {
  const mib = 1024 * 1024;
  it('is endless where every sample is larger than the one before', () => {
    expect(endlessGrowth([10, 50, 60, 70, 90, 110, 140, 180].map((n) => n * mib))).equal(110 * mib);
  });
  it('is none where it comes to rest, goes up and down, is small, or was hardly watched', () => {
    expect(endlessGrowth([10, 50, 60, 170, 290, 290, 290, 290].map((n) => n * mib))).equal(0);
    expect(endlessGrowth([10, 50, 60, 70, 190, 110, 240, 180].map((n) => n * mib))).equal(0);
    expect(endlessGrowth([10, 50, 60, 61, 62, 63, 64, 65].map((n) => n * mib))).equal(0);
    expect(endlessGrowth([10, 50, 60, 170, 290].map((n) => n * mib))).equal(0);
  });
});
