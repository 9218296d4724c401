import { expect } from 'chai';
import { AppSchema } from '../../../daemon/model/app-schema.ts';
import { DaemonError } from '../../../daemon/model/errors.ts';
import type { Layer } from '../../../daemon/model/layer.ts';
import type { ReloadOutcome, ReloadRecord } from '../../../daemon/model/snapshot.ts';
import { CommitGate, type PinKeeper } from '../../../daemon/reload/commit-gate.ts';
import { Reloader } from '../../../daemon/reload/reloader.ts';
import { SettleWindow } from '../../../daemon/reload/settle-window.ts';
import { SnapshotStore } from '../../../daemon/reload/snapshot-store.ts';
import type { Trial } from '../../../daemon/reload/verify-candidate.ts';
import type { Source } from '../../../daemon/sources/source.ts';
import { deepFreeze, type JsonObject } from '../../../schemas/json.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** A source that says what it is told to, when it is told to. */
class ScriptedSource implements Source {
  readonly kind = 'files';
  readonly describes = [];
  readonly problem = undefined;
  readonly heardAt = undefined;
  readonly watchHealth = { mode: 'watching' } as const;
  readonly counts = {};
  readonly id: string;
  loads = 0;
  next: JsonObject | DaemonError | Promise<JsonObject>;

  constructor(id: string, first: JsonObject) {
    this.id = id;
    this.next = first;
  }

  restore(): void {}

  async close(): Promise<void> {}

  async load(): Promise<Layer> {
    this.loads++;
    const said = await this.next;
    if (said instanceof Error) throw said;
    const settings = deepFreeze(said) as JsonObject;
    return {
      sourceId: this.id,
      parts: [{ sourceId: this.id, kind: 'files', name: this.id, settings }],
      touched: new Set([this.id]),
    };
  }

  async watch(): Promise<AsyncDisposable> {
    return { [Symbol.asyncDispose]: async () => {} };
  }
}

describe('the reloader', () => {
  let clock: FakeClock;
  let settle: SettleWindow;
  let store: SnapshotStore;
  let reloader: Reloader;
  let stop: AbortController;
  let running: Promise<void>;
  let ends: ReloadRecord[];
  let a: ScriptedSource;
  let b: ScriptedSource;
  let pins: PinKeeper;
  let trial: Trial;
  let minIntervalMs = 0;
  const current = () => store.current!.settings;
  const hint = async (...sources: Source[]) => {
    for (const { id } of sources) settle.add({ sourceId: id, reason: 'test' });
    await clock.advance(50);
  };
  const bad = new DaemonError('source_malformed', 'is bad');

  beforeEach(async () => {
    clock = new FakeClock();
    stop = new AbortController();
    ends = [];
    [a, b] = [new ScriptedSource('a', { a: 1 }), new ScriptedSource('b', { b: 1 })];
    settle = new SettleWindow({ quietMs: 50, maxWaitMs: 500 }, clock);
    const lineage = { epoch: 'e', lastCommit: undefined, mark: (digest: string) => digest, saveCommit: () => {} };
    const schema = new AppSchema({});
    store = new SnapshotStore({ lineage, schema, clock, keep: 20, onUnsaved: () => {}, onCommit: () => {} });
    // Invalid while the two disagree.
    const validate = ({ a: left, b: right }: JsonObject) =>
      left === right ? [] : [{ path: 'a', keyword: 'equal', message: 'must equal b' }];
    const onEnd = (record: ReloadRecord) => void ends.push(record);
    pins = { pin: undefined };
    trial = { asked: 0, rejectedBy: [], silent: [] };
    const tryOut = async () => trial;
    const withdrawals = { withdrawn: [], mark: (digest: string) => digest };
    const rules = { maxSnapshotBytes: 1_000, maxRemoved: 1 };
    const gate = new CommitGate({ store, validate, tryOut, pins, withdrawals, ...rules });
    reloader = new Reloader({
      sources: [a, b],
      freshSources: () => [a, b],
      settle,
      store,
      gate,
      pins,
      partsOf: async (revision) => store.kept.find((kept) => kept.revision === revision)?.parts,
      clock,
      random: () => 1,
      deadlineMs: 1_000,
      startWaitMs: 0,
      onWaiting: () => {},
      minIntervalMs,
      onStart: () => {},
      onEnd,
    });
    const first: Promise<ReloadOutcome> = reloader.reloadAll({ cause: 'start' }, stop.signal);
    await clock.advance(0);
    expect((await first).kind).equal('committed');
    running = reloader.run(stop.signal);
  });
  afterEach(async () => {
    stop.abort();
    await clock.advance(20_000);
    await running;
  });

  it('reads only what was hinted', async () => {
    await hint(a);
    expect([a.loads, b.loads]).deep.equal([2, 1]);
    expect(ends.at(-1)).include({ outcome: 'unchanged' });
  });

  it('commits a burst of two sources as one', async () => {
    a.next = { a: 2 };
    b.next = { b: 2 };
    await hint(a, b);
    expect(store.current).include({ revision: 2 });
    expect(current()).deep.equal({ a: 2, b: 2 });
  });

  it('completes a change that came in two bursts, each invalid alone', async () => {
    a.next = { a: 2 };
    await hint(a);
    expect(ends.at(-1)).include({ outcome: 'rejected' });
    expect([...reloader.problems().keys()]).deep.equal(['a']);
    b.next = { b: 2 };
    await hint(b);
    expect(current()).deep.equal({ a: 2, b: 2 });
    expect([...reloader.problems().keys()]).deep.equal([]);
  });

  it('keeps what was read well in a rejected burst for the next one', async () => {
    a.next = { a: 2 };
    b.next = bad;
    await hint(a, b);
    expect(current()).deep.equal({ a: 1, b: 1 });
    b.next = { b: 2 };
    await hint(b);
    expect(current()).deep.equal({ a: 2, b: 2 });
    expect(a.loads).equal(2);
  });

  it('rejects at the deadline, and takes what comes after it when it comes', async () => {
    const slow = Promise.withResolvers<JsonObject>();
    b.next = slow.promise;
    a.next = { a: 2 };
    await hint(a, b);
    await clock.advance(1_000);
    expect(ends.at(-1)).nested.include({ outcome: 'rejected', 'error.code': 'deadline_exceeded' });
    slow.resolve({ b: 2 });
    await clock.advance(50);
    expect(current()).deep.equal({ a: 2, b: 2 });
  });

  describe('with a minimum interval', () => {
    before(() => {
      minIntervalMs = 10_000;
    });
    after(() => {
      minIntervalMs = 0;
    });

    it('puts automatic reloads that far apart, gathers what comes meanwhile, and never makes an operator wait', async () => {
      await hint(a);
      await hint(a);
      await hint(b);
      expect(ends).length(2);
      const asked = reloader.reloadAll({ cause: 'operator' }, stop.signal);
      await clock.advance(0);
      expect((await asked).kind).equal('unchanged');
      await clock.advance(10_000);
      expect(ends.map(({ cause }) => cause)).deep.equal(['start', 'file', 'operator', 'file']);
    });
  });

  it('turns a bug in a source into one more rejected reload', async () => {
    b.next = new TypeError('undefined is not a function') as never;
    await hint(b);
    expect(ends.at(-1)).nested.include({ outcome: 'rejected', 'error.code': 'internal' });
    b.next = { b: 1 };
    await hint(b);
    expect(ends.at(-1)).include({ outcome: 'unchanged' });
  });
});
