import { readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { expect } from 'chai';
import { systemClock } from '../../../daemon/ops/clock.ts';
import type { FileOptions } from '../../../daemon/ops/options.ts';
import { FileSource, type FileSourceParts } from '../../../daemon/sources/file-source.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { limits } from '../../support/limits.ts';
import { useScratch } from '../../support/scratch.ts';
import { quietFor, until } from '../../support/until.ts';

const asked = { fresh: false, acceptGone: false, acceptMissing: false, graceMs: 0, patienceMs: 5_000 };
const { signal } = new AbortController();

describe('a source of a folder', () => {
  const scratch = useScratch();
  const rootOf = (name: string, more: Partial<FileOptions> = {}): FileOptions => ({
    name,
    path: scratch().path(name),
    at: [],
    isPlain: false,
    optional: false,
    ...more,
  });
  const sourceOf = (parts: Partial<FileSourceParts> = {}) =>
    new FileSource({
      id: 'files:secrets',
      kind: 'files',
      roots: [rootOf('secrets')],
      naming: {},
      limits,
      modeCheck: 'off',
      rescanMs: 50,
      lookAgainMs: 50,
      clock: systemClock,
      log: () => {},
      onWatchHealth: () => {},
      onParsed: () => {},
      ...parts,
    });
  const served = async (source: FileSource) =>
    Object.assign({}, ...(await source.load(asked, signal)).parts.map(({ settings }) => settings));

  /** Loads, and counts the hints of a watch while nothing changes. */
  async function hintsAtRest(source: FileSource): Promise<number> {
    let hints = 0;
    await using _watch = await source.watch(() => hints++);
    await source.load(asked, signal);
    await quietFor(200);
    // The watch itself may have hinted while it was armed.
    await source.load(asked, signal);
    hints = 0;
    await quietFor(400);
    return hints;
  }

  it('reports a link that leads nowhere once, by name, and reads it when it leads somewhere', async () => {
    scratch().write('secrets/a.yaml', 'a: 1\n');
    symlinkSync('/nonexistent/x', scratch().path('secrets/x.yaml'));
    symlinkSync('a.yaml/x', scratch().path('secrets/y.yaml'));
    const source = sourceOf();
    const { failure } = await source.load(asked, signal);
    expect(failure).include({ code: 'source_missing' });
    expect(failure!.message).contain('secrets/x.yaml: is a link that leads nowhere (correct it, or remove it)');
    expect(await hintsAtRest(source)).equal(0);
    expect(source.problem).include({ code: 'source_missing' });
    expect((await source.load(asked, signal)).failure).equal(undefined);
    let hints = 0;
    await using _watch = await source.watch(() => hints++);
    rmSync(scratch().path('secrets/y.yaml'));
    scratch().write('secrets/.target', 'x: 2\n');
    symlinkSync('.target', scratch().path('secrets/x.new'));
    renameSync(scratch().path('secrets/x.new'), scratch().path('secrets/x.yaml'));
    await until('both are seen', async () => hints > 0 && (await served(source)).x === 2 && !source.problem);
  });

  it('does not wait again for a problem that was reported before', async () => {
    scratch().write('secrets/a.yaml', 'a: 1\n');
    symlinkSync('/nonexistent/x', scratch().path('secrets/x.yaml'));
    const source = sourceOf({ clock: new FakeClock() });
    await source.load(asked, signal);
    // This clock stands still, so that any wait would never end.
    await source.load({ ...asked, fresh: true, graceMs: 1_000 }, signal);
    expect(source.problem).include({ code: 'source_missing' });
  });

  it('keeps the values of a file that has become a link to nothing, whatever an operator accepts', async () => {
    scratch().write('secrets/x.yaml', 'x: 1\n');
    const source = sourceOf();
    await source.load(asked, signal);
    rmSync(scratch().path('secrets/x.yaml'));
    symlinkSync('/nonexistent/x', scratch().path('secrets/x.yaml'));
    const { failure } = await source.load({ ...asked, fresh: true, acceptGone: true }, signal);
    expect(failure).include({ code: 'source_missing' });
    expect(await hintsAtRest(source)).equal(0);
    rmSync(scratch().path('secrets/x.yaml'));
    await source.load({ ...asked, fresh: true, acceptGone: true }, signal);
    expect(await served(source)).deep.equal({});
    expect(source.problem).equal(undefined);
  });

  it('refuses a file whose name is not valid UTF-8, and forgets it when it is gone', async () => {
    scratch().write('secrets/a.yaml', 'a: 1\n');
    const name = Buffer.concat([
      Buffer.from(scratch().path('secrets/')),
      Buffer.from([0xff, 0xfe]),
      Buffer.from('.yaml'),
    ]);
    renameSync(scratch().write('secrets/next', 'b: 2\n'), name);
    expect(readdirSync(scratch().path('secrets'))).length(2);
    const source = sourceOf();
    const { failure } = await source.load(asked, signal);
    expect(failure).include({ code: 'source_encoding' });
    expect(failure!.message).contain('has a name that is not valid UTF-8 (rename it)');
    expect(await hintsAtRest(source)).equal(0);
    expect(source.problem).include({ code: 'source_encoding' });
    let hints = 0;
    await using _watch = await source.watch(() => hints++);
    rmSync(name);
    await until('it is forgotten', () => hints > 0 && source.problem === undefined);
    expect(await served(source)).deep.equal({ a: 1 });
  });

  it('refuses a file of plain text whose name is a forbidden key', async () => {
    for (const name of ['good', 'constructor', '__proto__']) scratch().write(`secrets/${name}`, 'text');
    const source = sourceOf({ roots: [rootOf('secrets', { format: 'text', at: ['keys'] })] });
    const { failure, parts } = await source.load(asked, signal);
    expect(failure).include({ code: 'source_forbidden_key' });
    const messages = failure!.facts.issues!.map(({ message }) => message).join();
    expect(messages).contain('secrets/__proto__: keys.__proto__: keys named').contain('secrets/constructor: keys.c');
    expect(parts.map(({ settings }) => settings)).deep.equal([{ keys: { good: 'text' } }]);
    expect(await hintsAtRest(source)).equal(0);
  });

  it('reads a file again after growing pauses when an unexpected error stopped it, not at each rescan', async () => {
    scratch().write('secrets/a.yaml', 'a: 1\n');
    let reads = 0;
    let isBroken = true;
    const onParsed = () => {
      reads++;
      if (isBroken) throw new TypeError('broken');
    };
    const clock = new FakeClock();
    const source = sourceOf({ onParsed, clock });
    await source.load(asked, signal);
    expect(source.problem).include({ code: 'internal' });
    let hints = 0;
    await using _watch = await source.watch(() => hints++);
    await source.load(asked, signal);
    expect(reads).equal(1);
    /** The time by the source's clock until it is read again, in milliseconds. */
    const untilRead = async () => {
      const from = clock.monotonic();
      const before = reads;
      await until('it is read again', async () => {
        await clock.advance(50);
        const isHinted = hints > 0;
        hints = 0;
        if (isHinted) await source.load(asked, signal);
        return reads > before;
      });
      return clock.monotonic() - from;
    };
    expect(await untilRead()).least(1_000);
    expect(await untilRead()).least(2_000);
    isBroken = false;
    expect(await untilRead()).least(4_000);
    expect(source.problem).equal(undefined);
  });

  it('sees one edit of a file in all the names that lead to it, at once', async () => {
    scratch().write('secrets/x.yaml', 'x: 1\n');
    for (const name of ['a.yaml', 'z.yaml']) symlinkSync('x.yaml', scratch().path('secrets', name));
    const source = sourceOf({ rescanMs: 60_000 });
    await source.load(asked, signal);
    let hints = 0;
    await using _watch = await source.watch(() => hints++);
    await source.load(asked, signal);
    hints = 0;
    scratch().write('secrets/x.yaml', 'x: 2\n');
    await until('it hints', () => hints > 0);
    const { parts } = await source.load({ ...asked, graceMs: 1_000 }, signal);
    expect(parts.map(({ settings }) => settings.x)).deep.equal([2, 2, 2]);
  });
});
