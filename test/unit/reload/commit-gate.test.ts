import { expect } from 'chai';
import { AppSchema } from '../../../daemon/model/app-schema.ts';
import type { LayerPart } from '../../../daemon/model/layer.ts';
import type { Snapshot, Withdrawn } from '../../../daemon/model/snapshot.ts';
import { CommitGate, type PinKeeper } from '../../../daemon/reload/commit-gate.ts';
import { SnapshotStore } from '../../../daemon/reload/snapshot-store.ts';
import type { Trial } from '../../../daemon/reload/verify-candidate.ts';
import { deepFreeze, type JsonObject } from '../../../schemas/json.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('the gate before a commit', () => {
  let store: SnapshotStore;
  let pins: PinKeeper;
  let withdrawals: { withdrawn: readonly Withdrawn[]; mark: (digest: string) => string };
  let trial: Trial;
  let tried: Snapshot[];
  let saved: number[];
  let gate: CommitGate;
  const { signal } = new AbortController();
  const plain = { acceptMissing: false, endsPin: false };
  const part = (name: string, settings: JsonObject): LayerPart => ({
    sourceId: name,
    kind: 'files',
    name,
    settings: deepFreeze(settings),
  });
  const pass = (parts: readonly LayerPart[], licence = plain, stop = signal) => gate.pass(parts, licence, 'file', stop);
  const codeOf = (passing: Promise<unknown>) =>
    passing.then(
      () => 'passed',
      ({ code }) => code as string,
    );
  const one = part('one', { a: 1, b: 2, c: 3 });

  beforeEach(async () => {
    [saved, tried] = [[], []];
    const lineage = {
      epoch: 'e',
      lastCommit: undefined,
      mark: (digest: string) => digest,
      saveCommit: (revision: number) => void saved.push(revision),
    };
    const shared = { clock: new FakeClock(), keep: 3, onUnsaved: () => {}, onCommit: () => {} };
    store = new SnapshotStore({ lineage, schema: new AppSchema({}), ...shared });
    pins = { pin: undefined };
    withdrawals = { withdrawn: [], mark: (digest) => `mark of ${digest}` };
    trial = { asked: 1, rejectedBy: [], silent: [] };
    const tryOut = async (candidate: Snapshot) => {
      tried.push(candidate);
      return trial;
    };
    const validate = ({ bad }: JsonObject) => (bad ? [{ path: 'bad', keyword: 'not', message: 'must not be' }] : []);
    gate = new CommitGate({ store, validate, tryOut, pins, withdrawals, maxSnapshotBytes: 200, maxRemoved: 0.5 });
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
    trial = { asked: 2, rejectedBy: [{ ...who, code: 'x', paths: ['a'], message: 'no' }], silent: [] };
    expect(await codeOf(pass([part('one', { a: 2 })], { ...plain, acceptMissing: true }))).equal('subscriber_rejected');
    for (const why of ['timeout', 'lost'] as const) {
      trial = { asked: 1, rejectedBy: [], silent: [{ ...who, why }] };
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
    expect(await pass([next], { ...plain, endsPin: true })).include({ kind: 'committed' });
    expect(pins.pin).equal(undefined);
  });

  it('keeps a pin when what would end it does not pass', async () => {
    pins.pin = { revision: 1, to: 1, since: '' };
    await codeOf(pass([part('one', { bad: 1 })], { ...plain, endsPin: true }));
    expect(pins.pin).property('to', 1);
  });

  it('knows a withdrawn part again by its content, whatever comes with it, until that is another one', async () => {
    const bad = part('two', { d: 4 });
    await pass([one, bad]);
    gate.quarantine(store.current!, { ...store.current!, parts: [one] }, 'p rejects it');
    expect(withdrawals.withdrawn).length(1);
    expect(JSON.stringify(withdrawals.withdrawn)).not.contain('"d"');
    gate.passAgain([one]);
    const again = part('two', { d: 4 });
    for (const others of [[], [part('three', { e: 5 })]])
      expect(await codeOf(pass([one, again, ...others]))).equal('candidate_quarantined');
    expect(await codeOf(pass([one, part('three', { e: 5 })]))).equal('passed');
    expect(await codeOf(pass([one, part('two', { d: 5 })], { ...plain, acceptMissing: true }))).equal('passed');
    gate.endQuarantine();
    expect(await codeOf(pass([one, again]))).equal('passed');
  });

  it('commits nothing more when the daemon is stopping', async () => {
    const stopped = AbortSignal.abort();
    expect(await codeOf(pass([part('one', { ...one.settings, a: 2 })], plain, stopped))).equal('shutting_down');
    expect(store.current).include({ revision: 1 });
  });

  it('shows what would become of parts without committing them', async () => {
    const look = (next: LayerPart) => gate.look(async () => [next], signal);
    expect(await look(part('one', { ...one.settings, a: 2 }))).deep.include({ valid: true, changed: ['a'], trial });
    trial = { asked: 1, rejectedBy: [{ name: 'p', pid: 1, code: 'x', paths: ['a'], message: 'no' }], silent: [] };
    const refused = await look(part('one', { ...one.settings, a: 2 }));
    expect(refused).deep.include({ valid: false, changed: ['a'] });
    expect(refused.issues).deep.equal([{ path: 'a', keyword: 'verify', message: 'p (pid 1) rejects it: no' }]);
    expect(await look(part('one', {}))).deep.include({ valid: false, removed: ['a', 'b', 'c'] });
    expect(store.current).include({ revision: 1 });
  });
});
