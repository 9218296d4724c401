import { expect } from 'chai';
import type { Source } from '../../daemon/sources/source.ts';
import type { JsonObject } from '../../schemas/json.ts';
import { until } from '../support/until.ts';

/** One place whose one part is `{ value }`, and what a test does to it from the other side. */
export interface SourceWorld {
  readonly source: Source;
  set(value: string): void;
  /** Puts something there that cannot be read as settings. */
  spoil(): void;
  close(): Promise<void>;
}

const asked = { fresh: false, acceptGone: false, acceptMissing: false, graceMs: 0, patienceMs: 5_000 };
const { signal } = new AbortController();

/** What every {@link Source} has to hold, wherever its settings come from. */
export function sourceContract(open: (value: string) => Promise<SourceWorld>): void {
  let world: SourceWorld;
  let hints: number;
  let watch: AsyncDisposable;

  beforeEach(async () => {
    world = await open('one');
    hints = 0;
    watch = await world.source.watch(({ sourceId }) => {
      expect(sourceId).equal(world.source.id);
      hints++;
    });
  });
  afterEach(async () => {
    await watch[Symbol.asyncDispose]();
    await world.source.close();
    await world.close();
  });

  const load = async (request = asked) => world.source.load(request, signal);
  const served = ({ parts }: Awaited<ReturnType<typeof load>>) => (parts[0]!.settings as JsonObject).value;

  it('says what it reads, and gives it frozen, under its id and kind', async () => {
    const { id, kind, describes } = world.source;
    expect(describes).not.empty;
    const layer = await load();
    expect(layer.sourceId).equal(id);
    expect(layer.parts).length(1);
    expect(layer.parts[0]).include({ sourceId: id, kind });
    expect(served(layer)).equal('one');
    expect(Object.isFrozen(layer.parts[0]!.settings)).equal(true);
    expect([...layer.touched]).deep.equal([layer.parts[0]!.name]);
  });

  it('gives the same object for the same content, read afresh too', async () => {
    const { settings } = (await load()).parts[0]!;
    for (const request of [asked, { ...asked, fresh: true }]) {
      const again = await load(request);
      expect(again.parts[0]!.settings).equal(settings);
      expect(again.failure).equal(undefined);
    }
  });

  it('hints at a change, carries nothing in the hint, and gives the change at the next load', async () => {
    await load();
    hints = 0;
    world.set('two');
    await until('it hints', () => hints > 0);
    const layer = await load();
    expect(served(layer)).equal('two');
    expect(layer.touched.size).equal(1);
  });

  it('keeps the last good content of what is bad, tells it once, again when asked, and recovers', async () => {
    await load();
    hints = 0;
    world.spoil();
    await until('it hints', () => hints > 0);
    const bad = await load();
    expect(bad.failure).property('code', 'source_malformed');
    expect(served(bad)).equal('one');
    expect(world.source.problem).property('code', 'source_malformed');
    expect((await load()).failure, 'a problem that was told blocks nothing').equal(undefined);
    expect((await load({ ...asked, fresh: true })).failure).property('code', 'source_malformed');
    hints = 0;
    world.set('three');
    await until('it hints again', () => hints > 0);
    const good = await load();
    expect(served(good)).equal('three');
    expect(good.failure).equal(undefined);
    expect(world.source.problem).equal(undefined);
  });

  it('is watched until it is told to stop', async () => {
    expect(world.source.watchHealth).deep.equal({ mode: 'watching' });
    await load();
    await watch[Symbol.asyncDispose]();
    hints = 0;
    world.set('unheard');
    expect(served(await load({ ...asked, patienceMs: 100 }))).equal('one');
    expect(hints).equal(0);
  });
}
