import { execFileSync, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { connect } from '../../client/connect.ts';
import { systemClock } from '../../daemon/ops/clock.ts';
import { LastKnownGood } from '../../daemon/ops/last-known-good.ts';
import { seal, unseal } from '../../daemon/ops/seal.ts';
import { useProcesses } from '../support/daemon-process.ts';
import { layExample } from '../support/example.ts';
import { fastClock } from '../support/fast-clock.ts';
import { useScratch } from '../support/scratch.ts';
import { skipBecause } from '../support/skip.ts';
import { SmallDisk } from '../support/small-disk.ts';
import { until } from '../support/until.ts';
import { type App, useDaemon } from '../support/use-daemon.ts';

const key = () => `${randomBytes(32).toString('base64')}\n`;

describe('fault 2: killed while the last known good is written', () => {
  const scratch = useScratch();

  it('60 times, each leaves the old one or the new one readable, and what is half-written is swept', async function () {
    this.timeout(60_000);
    const folder = scratch().path('lkg');
    const counter = { generation: 0 };
    let newest = 0;
    for (let i = 0; i < 60; i++) {
      const child = fork(join(import.meta.dirname, '../fixtures/keep-writing.ts'), [folder, String(newest)]);
      let written = newest;
      child.on('message', ({ written: revision, problem }: { written?: number; problem?: string }) => {
        expect(problem).equal(undefined);
        written = revision ?? written;
      });
      await once(child, 'message');
      await new Promise((resolve) => setTimeout(resolve, (i * 7) % 23));
      child.kill('SIGKILL');
      await once(child, 'close');
      const shared = { folder, keys: [Buffer.alloc(32, 7)], owner: 'test', counter, keep: 3, clock: systemClock };
      const store = new LastKnownGood({ ...shared, onProblem: () => {}, onForeign: () => {} });
      expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).deep.equal([]);
      const kept = store.newest()!;
      // What was reported as written is there, or a later one.
      expect(kept.revision).at.least(written);
      expect(kept.parts[0]!.settings.text).equal(`${kept.revision} `.repeat(4_000));
      newest = kept.revision;
      counter.generation = Math.max(counter.generation, written);
    }
  });
});

describe('faults 12 and 13: what cannot be written', () => {
  const disks: SmallDisk[] = [];
  // Before the test's folder is removed.
  afterEach(async () => {
    await test().stop();
    for (const disk of disks.splice(0)) disk.unmount();
  });
  const test = useDaemon();
  const edit = (url: string) => test().scratch.write('secrets/app.yaml', `database: { url: ${url} }\n`);
  const state = () => test().daemon!.reports.status().state;

  it('12: a full disk takes nothing away: served from memory, told, and written when there is room', async function () {
    this.timeout(40_000);
    const disk = SmallDisk.mount(test().scratch.path('state'), '400k');
    if (!disk) return skipBecause(this, 'this machine allows no mount');
    disks.push(disk);
    test().clock = fastClock(8);
    test().scratch.write('lkg.key', key());
    test().options.lastKnownGood = { keyFile: './lkg.key' };
    await test().start();
    const config = await test().connect();
    disk.fill();
    for (const url of ['full-1', 'full-2']) {
      edit(url);
      await until(`it has ${url}`, () => config.settings.database.url === url);
    }
    await until('it is told', () =>
      state().reasons.some((reason) => reason.includes('last known good cannot be written')),
    );
    expect(state().kind).equal('degraded');
    disk.free();
    await until('it is written', () => !state().reasons.some((reason) => reason.includes('last known good')), 15_000);
    edit('room-again');
    await until('it goes on', () => config.settings.database.url === 'room-again');
    await until('it is ready', () => state().kind === 'ready', 15_000);
  });
});

describe('fault 13: a daemon that may not write', () => {
  const scratch = useScratch();
  const run = useProcesses();
  const program = (daemonUid = 0) => connect<App>({ socket: scratch().path('run/default.sock'), daemonUid });
  const edit = (url: string) => {
    // In place, so that whoever may read it still may.
    writeFileSync(scratch().path('secrets/app.yaml'), `database: { url: ${url} }\n`);
  };

  it('13: a limit on the size of files does not end it', async () => {
    const file = layExample(scratch());
    const wrapper = ['sh', '-c', 'ulimit -f 300; exec "$@"', 'sh'];
    const daemon = await run(['start', '--config', file], { wrapper }).ready();
    const config = await program();
    for (let i = 0; i < 30; i++) {
      edit(`value-${i}`);
      await until(`edit ${i}`, () => config.settings.database.url === `value-${i}`);
    }
    expect(daemon.isRunning).equal(true);
    expect(daemon.logged('state_unsaved')).not.empty;
    await config.close();
  });

  it('13: a folder that another user owns by now does not, either', async function () {
    if (process.getuid!() !== 0) return skipBecause(this, 'only root can play two users');
    const file = layExample(scratch(), { lastKnownGood: { keyFile: './lkg.key' } });
    scratch().write('lkg.key', key());
    execFileSync('chown', ['-R', '65534:65534', scratch().folder]);
    const daemon = await run(['start', '--config', file], { uid: 65534, gid: 65534 }).ready();
    const config = await program(65534);
    execFileSync('chown', ['-R', '0:0', scratch().path('state/last-known-good')]);
    edit('unwritten');
    await until('it is served', () => config.settings.database.url === 'unwritten');
    await config.close();
    expect(daemon.isRunning).equal(true);
    expect(existsSync(scratch().path('state/last-known-good/2.sealed'))).equal(false);
    execFileSync('chown', ['-R', '65534:65534', scratch().path('state/last-known-good')]);
    await until('it is written', () => existsSync(scratch().path('state/last-known-good/2.sealed')), 15_000);
  });

  it('13: a state folder that cannot be written at the start ends it by 77', async function () {
    if (process.getuid!() !== 0) return skipBecause(this, 'only root can play two users');
    const file = layExample(scratch());
    scratch().write('state/keep', '');
    execFileSync('chmod', ['0555', scratch().path('state')]);
    execFileSync('chown', ['65534', scratch().path('secrets/app.yaml')]);
    execFileSync('chmod', ['0755', scratch().folder]);
    const daemon = run(['start', '--config', file], { uid: 65534, gid: 65534 });
    expect(await daemon.ended()).oneOf([73, 77]);
    expect(daemon.lastWords).contain(scratch().folder);
  });
});

describe('fault 16: a last known good that is not what was written', () => {
  const test = useDaemon();
  const folder = (...names: string[]) => test().scratch.path('state/last-known-good', ...names);
  const start = () => {
    test().options.lastKnownGood = { keyFile: './lkg.key' };
    if (!existsSync(test().scratch.path('lkg.key'))) test().scratch.write('lkg.key', key());
    return test().start();
  };
  const expectRefused = async (words: string) => {
    renameSync(test().scratch.path('secrets'), test().scratch.path('away'));
    const error = await start().then(
      () => undefined,
      (reason) => reason,
    );
    expect(error, 'it is not served').property('code', 'source_missing');
    expect(test().logged('last_known_good_refused').at(-1)!.message).contain(words);
    renameSync(test().scratch.path('away'), test().scratch.path('secrets'));
    await start();
    expect(test().daemon!.reports.status().state.kind, 'with its sources it starts').oneOf(['degraded', 'ready']);
  };

  it('is refused whichever byte of it is another one, and wherever it is cut off', () => {
    const keys = [randomBytes(32)];
    const label = { owner: 'o', generation: 1, revision: 1 };
    const sealed = seal(Buffer.from('{"parts":[]}'), label, keys);
    expect(unseal(sealed, keys)).deep.include({ kind: 'opened', label, isNewestKey: true });
    for (let at = 0; at < sealed.length; at++) {
      const flipped = Buffer.from(sealed);
      flipped[at]! ^= 1 << (at % 8);
      expect(unseal(flipped, keys).kind, `byte ${at}`).equal('refused');
      expect(unseal(sealed.subarray(0, at), keys).kind, `cut at ${at}`).equal('refused');
    }
    expect(unseal(Buffer.concat([sealed, Buffer.alloc(1)]), keys).kind).equal('refused');
  });

  it('is refused and told when a byte of it is another one, or it is cut off', async () => {
    await start();
    await test().stop();
    const sealed = readFileSync(folder('1.sealed'));
    const flipped = Buffer.from(sealed);
    flipped[flipped.length - 20]! ^= 4;
    writeFileSync(folder('1.sealed'), flipped);
    await expectRefused('is tampered with');
    await test().stop();
    expect(readdirSync(folder()), 'it was written again, and the damaged one is gone').deep.equal(['2.sealed']);
    writeFileSync(folder('2.sealed'), sealed.subarray(0, 100));
    await expectRefused('is cut off');
  });

  it('is refused and told when it was written with another key', async () => {
    await start();
    await test().stop();
    rmSync(test().scratch.path('lkg.key'));
    await expectRefused('was written with another key');
  });

  it('is refused and told when it is of another host', async () => {
    await start();
    await test().stop();
    cpSync(test().scratch.path('state/last-known-good'), test().scratch.path('theirs'), { recursive: true });
    rmSync(test().scratch.path('state'), { recursive: true });
    test().scratch.write('state/last-known-good/1.sealed', readFileSync(test().scratch.path('theirs/1.sealed')));
    await expectRefused('is of another host or state folder');
  });

  it('is refused and told when it is an older copy, which its generation shows', async () => {
    await start();
    await until('it is written', () => existsSync(folder('1.sealed')));
    const old = readFileSync(folder('1.sealed'));
    test().scratch.write('secrets/app.yaml', 'database: { url: url-2 }\n');
    await until('it is written', () => existsSync(folder('2.sealed')));
    await test().stop();
    rmSync(folder('2.sealed'));
    await expectRefused('is an older copy: generation 1, and 2 was written');
    await test().stop();
    writeFileSync(folder('9.sealed'), old);
    await expectRefused('is revision 1 under another name');
  });
});
