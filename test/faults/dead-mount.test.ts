import { mkdirSync } from 'node:fs';
import { expect } from 'chai';
import { systemClock } from '../../daemon/ops/clock.ts';
import { FileCalls } from '../../daemon/sources/file-calls.ts';
import { FileSource } from '../../daemon/sources/file-source.ts';
import { DeadMount } from '../support/dead-mount.ts';
import { limits } from '../support/limits.ts';
import { useScratch } from '../support/scratch.ts';
import { skipBecause } from '../support/skip.ts';
import { until } from '../support/until.ts';

const asked = { fresh: false, acceptGone: false, acceptMissing: false, graceMs: 0, patienceMs: 5_000 };
const { signal } = new AbortController();

describe('a mount that never answers', () => {
  let mount: DeadMount | undefined;
  // Before the scratch folder is removed: looking into it would hang.
  afterEach(() => {
    mount?.end();
    mount = undefined;
  });
  const scratch = useScratch();

  const rootOf = (name: string) => ({ name, path: scratch().path(name), at: [], isPlain: false, optional: false });
  const sourceOf = (calls: FileCalls, ...names: string[]) =>
    new FileSource({
      id: `files:${names}`,
      kind: 'files',
      roots: names.map(rootOf),
      naming: {},
      limits,
      modeCheck: 'off',
      rescanMs: 50,
      lookAgainMs: 50,
      clock: systemClock,
      calls,
      log: () => {},
      onWatchHealth: () => {},
      onParsed: () => {},
    });

  it('costs its own values until it is back; other folders of the same source and other sources go on', async function () {
    for (const name of ['alive', 'dead', 'other']) mkdirSync(scratch().path(name));
    scratch().write('alive/a.yaml', 'a: 1\n');
    scratch().write('dead/b.yaml', 'b: 1\n');
    scratch().write('other/c.yaml', 'c: 1\n');
    const calls = new FileCalls(systemClock, 500);
    const source = sourceOf(calls, 'alive', 'dead');
    const other = sourceOf(calls, 'other');
    let hints = 0;
    const served = async (from = source) =>
      Object.assign({}, ...(await from.load(asked, signal)).parts.map(({ settings }) => settings));
    expect(await served()).deep.equal({ a: 1, b: 1 });
    await using _watch = await source.watch(() => hints++);
    try {
      mount = new DeadMount(scratch().path('dead'));
    } catch {
      return skipBecause(this, 'this machine does not let us mount a FUSE file system');
    }
    const { failure, parts } = await source.load({ ...asked, fresh: true }, signal);
    expect(failure).include({ code: 'source_unreadable' });
    expect(failure!.message).contain('no answer within 0.5 s (check the mount that it lies on)');
    expect(parts.map(({ settings }) => settings)).deep.equal([{ a: 1 }, { b: 1 }]);
    await until('the watch reports it', () => source.watchHealth.problem === 'dead does not answer');
    hints = 0;
    scratch().write('alive/a.yaml', 'a: 2\n');
    await until('it hints', () => hints > 0);
    expect(await served()).deep.equal({ a: 2, b: 1 });
    expect(await served(other)).deep.equal({ c: 1 });
    mount.end();
    mount = undefined;
    scratch().write('dead/b.yaml', 'b: 2\n');
    await until('it is served', async () => hints > 0 && (await served()).b === 2);
    await until('all is well', () => !source.problem && source.watchHealth.mode === 'watching');
  });
});
