import { expect } from 'chai';
import { AppSchema } from '../../../daemon/model/app-schema.ts';
import { DaemonError } from '../../../daemon/model/errors.ts';
import type { Layer } from '../../../daemon/model/layer.ts';
import type { ReloadOutcome, ReloadRecord, Snapshot } from '../../../daemon/model/snapshot.ts';
import { CommitGate, type PinKeeper } from '../../../daemon/reload/commit-gate.ts';
import { Refusals } from '../../../daemon/reload/refusals.ts';
import { Reloader } from '../../../daemon/reload/reloader.ts';
import { SettleWindow } from '../../../daemon/reload/settle-window.ts';
import { SnapshotStore } from '../../../daemon/reload/snapshot-store.ts';
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
  let refusals: Refusals;
  /** What the program with a verification says. */
  let accepts: (settings: JsonObject) => boolean | Promise<boolean>;
  /** What it was asked about. */
  let asked: JsonObject[];
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
    const secrets = { hold: () => {}, release: () => {} };
    store = new SnapshotStore({ lineage, schema, clock, keep: 20, onUnsaved: () => {}, secrets });
    // Invalid while the two disagree.
    const validate = ({ a: left, b: right }: JsonObject) =>
      left === right ? [] : [{ path: 'a', keyword: 'equal', message: 'must equal b' }];
    const onEnd = (record: ReloadRecord) => void ends.push(record);
    pins = { pin: undefined };
    accepts = () => true;
    asked = [];
    const tryOut = async ({ settings }: Snapshot) => {
      asked.push(settings);
      if (await accepts(settings)) return { asked: 1, rejectedBy: [], silent: [], refusers: [] };
      const rejectedBy = [{ name: 'p', pid: 1, code: 'x', paths: [], message: 'no' }];
      return { asked: 1, rejectedBy, silent: [], refusers: ['default/p'] };
    };
    const keeper = { refusals: [], mark: (digest: string) => digest };
    refusals = new Refusals({
      keeper,
      clock,
      random: () => 1,
      onDue: (sourceIds) => sourceIds.forEach((sourceId) => void settle.add({ sourceId, reason: 'retry' })),
    });
    const publisher = {
      stable: undefined,
      isStaging: false,
      isUrgent: () => false,
      publish: () => {},
      publishToAll: () => {},
    };
    const rules = { validateElsewhere: async () => [], maxSnapshotBytes: 1_000, maxRemoved: 1 };
    const voters = { tryOut, viewsAsked: () => ['default'], isShown: () => true };
    const gate = new CommitGate({ store, validate, voters, pins, refusals, publisher, ...rules });
    reloader = new Reloader({
      sources: [a, b],
      freshSources: () => [a, b],
      settle,
      store,
      gate,
      refusals,
      pins,
      partsOf: async (revision) => store.kept.find((kept) => kept.revision === revision)?.parts,
      clock,
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

  describe('what a program refuses', () => {
    beforeEach(() => {
      // These two may differ.
      a.next = { a: 1, x: 1 };
      b.next = { b: 1, y: 1 };
    });

    it('is tried again for ever, at growing intervals, until it passes', async () => {
      await hint(a, b);
      accepts = ({ x }) => x !== 2;
      a.next = { a: 1, x: 2 };
      await hint(a);
      const tries = () => asked.filter(({ x }) => x === 2).length;
      for (const [i, seconds] of [5, 10, 20, 40].entries()) {
        expect(tries(), `after try ${i}`).equal(i + 1);
        await clock.advance(seconds * 1_000 - 100);
        expect(tries()).equal(i + 1);
        await clock.advance(150);
      }
      expect(tries()).equal(5);
      accepts = () => true;
      await clock.advance(81_000);
      expect(current()).include({ x: 2 });
      expect([...reloader.problems().keys()]).deep.equal([]);
      expect(clock.waiting).equal(0);
    });

    it('is not tried with other changes, which pass without it; and it is tried again soon after them', async () => {
      await hint(a, b);
      accepts = ({ x }) => x !== 2;
      a.next = { a: 1, x: 2 };
      await hint(a);
      await clock.advance(5_100);
      expect(asked.filter(({ x }) => x === 2)).length(2);
      b.next = { b: 1, y: 2 };
      await hint(b);
      expect(current()).include({ x: 1, y: 2 });
      expect(asked.filter(({ x }) => x === 2)).length(2);
      expect([...reloader.problems().keys()]).deep.equal(['a']);
      await clock.advance(5_100);
      expect(asked.at(-1)).include({ x: 2, y: 2 });
    });

    it('does not hold back what came in the same burst once it is tried alone', async () => {
      await hint(a, b);
      accepts = ({ x }) => x !== 2;
      [a.next, b.next] = [
        { a: 1, x: 2 },
        { b: 1, y: 2 },
      ];
      await hint(a, b);
      expect(current()).include({ x: 1, y: 1 });
      // As soon as one of the two has other content, the combination is another one.
      a.next = { a: 1, x: 3 };
      await hint(a);
      expect(current()).include({ x: 3, y: 2 });
    });

    it('is tried at once when an operator reloads, and committed without a question when the operator says so', async () => {
      await hint(a, b);
      accepts = ({ x }) => x !== 2;
      a.next = { a: 1, x: 2 };
      await hint(a);
      const outcome = await reloader.reloadAll({ cause: 'operator' }, stop.signal);
      expect(outcome).nested.include({ kind: 'rejected', 'error.code': 'subscriber_rejected' });
      const forced = await reloader.reloadAll({ cause: 'operator' }, stop.signal, { noVerify: true });
      expect(forced.kind).equal('committed');
      expect(current()).include({ x: 2 });
    });

    it('is withdrawn with a rollout although something newer was committed on top, which is then tried without it', async () => {
      await hint(a, b);
      const stable = store.current!;
      a.next = { a: 1, x: 2 };
      await hint(a);
      const bad = store.current!;
      // While the next change is verified, a first program fails with what it has.
      const slow = Promise.withResolvers<boolean>();
      accepts = () => slow.promise;
      b.next = { b: 1, y: 2 };
      await hint(b);
      const rejecting = { name: 'p', pid: 1, code: 'x', paths: [], message: 'fails' };
      const withdrawn = reloader.withdraw(bad, stable, [rejecting], ['default/p']);
      accepts = () => true;
      slow.resolve(true);
      await clock.advance(0);
      await withdrawn;
      await clock.advance(50);
      expect(current()).include({ x: 1, y: 2 });
      expect([...reloader.problems().keys()]).deep.equal(['a']);
    });
  });

  it('holds back what is withdrawn while a reload finds that nothing has changed', async () => {
    a.next = { a: 1, x: 2 };
    await hint(a);
    const [stable, bad] = [store.kept[0]!, store.current!];
    const slow = Promise.withResolvers<JsonObject>();
    b.next = slow.promise;
    await hint(b);
    const rejecting = { name: 'p', pid: 1, code: 'x', paths: [], message: 'fails' };
    const withdrawn = reloader.withdraw(bad, stable, [rejecting], ['default/p']);
    slow.resolve({ b: 1 });
    await clock.advance(0);
    await withdrawn;
    expect(current()).not.property('x');
    await hint(a, b);
    expect(current()).not.property('x');
    expect([...reloader.problems().keys()]).deep.equal(['a']);
  });

  it('takes back what a first program has not answered, and tries it again later', async () => {
    a.next = { a: 1, x: 2 };
    await hint(a);
    const silent = { name: 'p', pid: 1, code: 'unanswered', paths: [], message: 'it has not answered' };
    const withdrawn = reloader.withdraw(store.current!, store.kept[0]!, [silent], ['default/p']);
    await clock.advance(0);
    await withdrawn;
    expect(current()).not.property('x');
    await clock.advance(5_100);
    expect(current()).include({ x: 2 });
  });

  it('lets a call that comes while sources are read see what changed since, and joins it where nothing has', async () => {
    const slow = Promise.withResolvers<boolean>();
    accepts = () => slow.promise;
    [a.next, b.next] = [{ a: 2 }, { b: 2 }];
    const first = reloader.reloadAll({ cause: 'operator' }, stop.signal);
    await clock.advance(0);
    const joined = [1, 2, 3].map(() => reloader.reloadAll({ cause: 'operator' }, stop.signal));
    const shared = reloader.reloadAll({ cause: 'operator' }, stop.signal);
    expect(joined.every((call) => call === shared)).equal(true);
    slow.resolve(true);
    expect(await shared).equal(await first);
    expect(ends.filter(({ cause }) => cause === 'operator')).length(1);
    // The same with an edit after the first has read.
    const again = Promise.withResolvers<boolean>();
    accepts = () => again.promise;
    [a.next, b.next] = [{ a: 3 }, { b: 3 }];
    const running = reloader.reloadAll({ cause: 'operator' }, stop.signal);
    await clock.advance(0);
    [a.next, b.next] = [{ a: 4 }, { b: 4 }];
    const late = reloader.reloadAll({ cause: 'operator' }, stop.signal);
    again.resolve(true);
    expect(await running).nested.include({ kind: 'committed', 'snapshot.revision': 3 });
    expect(await late).nested.include({ kind: 'committed', 'snapshot.revision': 4 });
    expect(current()).deep.equal({ a: 4, b: 4 });
  });

  it('leaves a pin alone that an operator sets while a reload of before waits for programs', async () => {
    const { promise: answer, resolve } = Promise.withResolvers<boolean>();
    accepts = () => answer;
    [a.next, b.next] = [{ a: 2 }, { b: 2 }];
    const reload = reloader.reloadAll({ cause: 'operator' }, stop.signal);
    await clock.advance(0);
    expect(asked.at(-1)).deep.equal({ a: 2, b: 2 });
    const rollback = reloader.rollback({ to: 1, force: true }, {}, stop.signal);
    await clock.advance(0);
    expect((await rollback).kind).equal('unchanged');
    resolve(true);
    await clock.advance(0);
    expect((await reload).kind).equal('unchanged');
    expect(current()).deep.equal({ a: 1, b: 1 });
    expect(pins.pin).include({ revision: 1 });
    const later = reloader.reloadAll({ cause: 'operator' }, stop.signal);
    await clock.advance(0);
    expect((await later).kind).equal('committed');
    expect(pins.pin).equal(undefined);
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
