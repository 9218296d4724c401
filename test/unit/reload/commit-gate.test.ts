import { expect } from 'chai';
import { AppSchema } from '../../../daemon/model/app-schema.ts';
import type { LayerPart } from '../../../daemon/model/layer.ts';
import type { Refusal, Snapshot } from '../../../daemon/model/snapshot.ts';
import { CommitGate, type Licence, type PinKeeper } from '../../../daemon/reload/commit-gate.ts';
import { Refusals } from '../../../daemon/reload/refusals.ts';
import { SnapshotStore } from '../../../daemon/reload/snapshot-store.ts';
import type { Trial } from '../../../daemon/reload/verify-candidate.ts';
import { deepFreeze, type JsonObject } from '../../../schemas/json.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('the gate before a commit', () => {
  let store: SnapshotStore;
  let pins: PinKeeper;
  let keeper: { refusals: readonly Refusal[]; mark: (digest: string) => string };
  let refusals: Refusals;
  let published: { readonly all?: number; readonly staged?: number }[];
  let stable: Snapshot | undefined;
  let trial: Trial;
  let tried: Snapshot[];
  let saved: number[];
  let gate: CommitGate;
  const { signal } = new AbortController();
  const plain: Licence = { acceptMissing: false, endsPin: false, noVerify: false };
  const part = (name: string, settings: JsonObject): LayerPart => ({
    sourceId: name,
    kind: 'files',
    name,
    settings: deepFreeze(settings),
  });
  const pass = async (parts: readonly LayerPart[], licence = plain, stop = signal) =>
    (await gate.pass(parts, licence, 'file', stop))!;
  const codeOf = (passing: Promise<unknown>) =>
    passing.then(
      () => 'passed',
      ({ code }) => code as string,
    );
  const one = part('one', { a: 1, b: 2, c: 3 });

  beforeEach(async () => {
    [saved, tried, published, stable] = [[], [], [], undefined];
    const lineage = {
      epoch: 'e',
      lastCommit: undefined,
      mark: (digest: string) => digest,
      saveCommit: (revision: number) => void saved.push(revision),
    };
    const clock = new FakeClock();
    const secrets = { hold: () => {}, release: () => {} };
    const shared = { clock, keep: 3, onUnsaved: () => {}, secrets };
    store = new SnapshotStore({ lineage, schema: new AppSchema({}), ...shared });
    pins = { pin: undefined };
    keeper = { refusals: [], mark: (digest) => `mark of ${digest}` };
    refusals = new Refusals({ keeper, clock, random: () => 1, onDue: () => {} });
    trial = { asked: 1, rejectedBy: [], silent: [], refusers: [] };
    const tryOut = async (candidate: Snapshot) => {
      tried.push(candidate);
      return trial;
    };
    const validate = ({ bad }: JsonObject) => (bad ? [{ path: 'bad', keyword: 'not', message: 'must not be' }] : []);
    const publisher = {
      get stable() {
        return stable;
      },
      isStaging: true,
      isUrgent: (paths: readonly string[]) => paths.includes('key'),
      publish: ({ revision }: Snapshot) => void published.push({ staged: revision }),
      publishToAll: ({ revision }: Snapshot, staged?: Snapshot) =>
        void published.push({ all: revision, ...(staged && { staged: staged.revision }) }),
    };
    const rules = { validateElsewhere: async () => [], maxSnapshotBytes: 200, maxRemoved: 0.5 };
    const voters = { tryOut, viewsAsked: () => ['default'], isShown: () => true };
    gate = new CommitGate({ store, validate, voters, pins, refusals, publisher, ...rules });
    expect(await pass([one])).include({ kind: 'committed' });
  });

  it('asks the programs with the number and the difference that it would have, and only when something changes', async () => {
    expect(tried[0]).include({ revision: 1 });
    expect(await pass([one])).include({ kind: 'unchanged' });
    expect(tried).length(1);
    await pass([one, part('two', { d: 4 })]);
    expect(tried[1]).deep.include({ revision: 2, changed: ['d'], removed: [] });
    expect(store.current).include({ revision: 2 });
  });

  it('lets nothing through that one of them rejects or is silent about, and leaves no trace of it', async () => {
    const who = { name: 'p', pid: 1 };
    trial = {
      asked: 2,
      rejectedBy: [{ ...who, code: 'x', paths: ['a'], message: 'no' }],
      silent: [],
      refusers: ['default/p'],
    };
    expect(await codeOf(pass([part('one', { a: 2 })], { ...plain, acceptMissing: true }))).equal('subscriber_rejected');
    for (const why of ['timeout', 'lost'] as const) {
      trial = { asked: 1, rejectedBy: [], silent: [{ ...who, why }], refusers: ['default/p'] };
      expect(await codeOf(pass([part('one', { ...one.settings, a: 2 })]))).equal('subscriber_silent');
    }
    expect(store.current).include({ revision: 1 });
    expect(saved).deep.equal([1]);
  });

  it('does not ask anybody about what the schema, the size or the guard against loss refuses', async () => {
    expect(await codeOf(pass([part('one', { bad: 1 })]))).equal('settings_invalid');
    expect(await codeOf(pass([part('one', { a: 'x'.repeat(300) })]))).equal('snapshot_too_large');
    expect(await codeOf(pass([part('one', { a: 1 })]))).equal('too_much_removed');
    expect(tried).length(1);
    // Half of three, rounded down, may go.
    expect(await codeOf(pass([part('one', { a: 1, b: 2 })]))).equal('passed');
    expect(await codeOf(pass([part('one', {})], { ...plain, acceptMissing: true }))).equal('passed');
  });

  it('holds back what is good while a revision is pinned, and tells what is bad', async () => {
    pins.pin = { revision: 1, to: 1, since: '' };
    const next = part('one', { ...one.settings, a: 9 });
    expect(await pass([next])).deep.include({ kind: 'unchanged', isHeld: true });
    expect(await codeOf(pass([part('one', { ...one.settings, bad: 1 })]))).equal('settings_invalid');
    expect(store.current!.settings.a).equal(1);
    expect(await pass([next], { ...plain, endsPin: true, pinBefore: pins.pin })).include({ kind: 'committed' });
    expect(pins.pin).equal(undefined);
  });

  it('keeps a pin when what would end it does not pass', async () => {
    pins.pin = { revision: 1, to: 1, since: '' };
    await codeOf(pass([part('one', { bad: 1 })], { ...plain, endsPin: true, pinBefore: pins.pin }));
    expect(pins.pin).property('to', 1);
  });

  it('knows a withdrawn part again by its content, whatever comes with it, until that is another one', async () => {
    const bad = part('two', { d: 4 });
    await pass([one, bad]);
    refusals.withdraw(store.current!.parts, [one], 'p rejects it', ['default/p']);
    expect(keeper.refusals).length(1);
    expect(JSON.stringify(keeper.refusals)).not.contain('"d"');
    gate.passAgain([one]);
    const again = part('two', { d: 4 });
    for (const others of [[], [part('three', { e: 5 })]])
      expect(await codeOf(pass([one, again, ...others]))).equal('candidate_quarantined');
    expect(await codeOf(pass([one, part('three', { e: 5 })]))).equal('passed');
    expect(await codeOf(pass([one, part('two', { d: 5 })], { ...plain, acceptMissing: true }))).equal('passed');
    refusals.clear();
    expect(await codeOf(pass([one, again]))).equal('passed');
  });

  it('commits nothing more when the daemon is stopping', async () => {
    const stopped = AbortSignal.abort();
    expect(await codeOf(pass([part('one', { ...one.settings, a: 2 })], plain, stopped))).equal('shutting_down');
    expect(store.current).include({ revision: 1 });
  });

  it('shows what would become of parts without committing them', async () => {
    const look = (next: LayerPart) => gate.look(async () => [next], true, signal);
    expect(await look(part('one', { ...one.settings, a: 2 }))).deep.include({ valid: true, changed: ['a'], trial });
    trial = {
      asked: 1,
      rejectedBy: [{ name: 'p', pid: 1, code: 'x', paths: ['a'], message: 'no' }],
      silent: [],
      refusers: [],
    };
    const refused = await look(part('one', { ...one.settings, a: 2 }));
    expect(refused).deep.include({ valid: false, changed: ['a'] });
    expect(refused.issues).deep.equal([{ path: 'a', keyword: 'verify', message: 'p (pid 1) rejects it: no' }]);
    expect(await look(part('one', {}))).deep.include({ valid: false, removed: ['a', 'b', 'c'] });
    expect(store.current).include({ revision: 1 });
  });

  it('counts a value as secret by the part that gives it now, also where the value stays', async () => {
    const plainPart: LayerPart = { ...part('defaults', { d: 4, e: 5 }), kind: 'defaults' };
    await pass([plainPart, one]);
    expect(store.secretsLoaded).equal(3);
    await pass([plainPart, part('one', { ...one.settings, d: 4 })]);
    expect(store.secretsLoaded).equal(4);
    await pass([plainPart, one, part('two', { e: 5 })]);
    expect(store.secretsLoaded).equal(4);
    await pass([plainPart, one]);
    expect(store.secretsLoaded).equal(3);
  });

  it('asks nobody where an operator says so', async () => {
    trial = {
      asked: 1,
      rejectedBy: [{ name: 'p', pid: 1, code: 'x', paths: [], message: 'no' }],
      silent: [],
      refusers: [],
    };
    tried.length = 0;
    expect(await codeOf(pass([one, part('two', { d: 4 })], { ...plain, noVerify: true }))).equal('passed');
    expect(tried).deep.equal([]);
  });

  it('commits nothing that was withdrawn while programs tried it', async () => {
    const bad = part('two', { d: 4 });
    trial = new Proxy(trial, {
      get: (target, key) => {
        if (key === 'rejectedBy') refusals.withdraw([one, bad], [one], 'p fails', []);
        return Reflect.get(target, key);
      },
    });
    expect(await codeOf(pass([one, bad]))).equal('candidate_quarantined');
    expect(store.current).include({ revision: 1 });
  });

  it('brings what is urgent to all on top of what they run, and stages the rest again', async () => {
    const before = store.current!;
    await pass([one, part('two', { d: 4 })]);
    stable = before;
    const passed = await pass([one, part('two', { d: 4 }), part('three', { key: 'revoked' })]);
    expect(passed).nested.include({ kind: 'committed', 'snapshot.revision': 4, 'urgent.revision': 3 });
    expect(passed.kind === 'committed' && passed.urgent!.settings).deep.equal({ a: 1, b: 2, c: 3, key: 'revoked' });
    expect(store.current!.settings).deep.equal({ a: 1, b: 2, c: 3, d: 4, key: 'revoked' });
    expect(published.slice(1)).deep.equal([{ staged: 2 }, { all: 3, staged: 4 }]);
  });

  it('brings a rollback to the revision that is staged to all', async () => {
    stable = store.current!;
    const parts = [one, part('two', { d: 4 })];
    await pass(parts);
    gate.passAgain(parts);
    expect(store.current).include({ revision: 2 });
    expect(published.at(-1)).deep.equal({ all: 2 });
  });
});
