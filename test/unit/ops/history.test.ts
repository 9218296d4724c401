import { expect } from 'chai';
import type { ReloadRecord } from '../../../daemon/model/snapshot.ts';
import { History } from '../../../daemon/ops/history.ts';
import { Redaction } from '../../../daemon/ops/redaction.ts';
import { StateStore } from '../../../daemon/ops/state-store.ts';
import { useScratch } from '../../support/scratch.ts';

describe('the history', () => {
  it('keeps a record small however much changed or was invalid, and says how much', () => {
    const records: ReloadRecord[] = [];
    const state = { addRecord: (record: ReloadRecord) => records.push(record) };
    const onUnsaved = (error: unknown) => expect.fail(String(error));
    const history = new History({ state: state as never, redaction: new Redaction(), onUnsaved });
    const paths = Array.from({ length: 20_000 }, (_, i) => `${'k'.repeat(1_000)}.${i}`);
    const issues = paths.map((path) => ({ path, keyword: 'type', message: 'must be a string' }));
    const record = { at: '', outcome: 'rejected', revision: 1, epoch: 'e', cause: 'file', durationMs: 1 } as const;
    const error = { code: 'settings_invalid', message: 'invalid', issues };
    history.add({ ...record, changed: paths, removed: paths, error });
    expect(records[0]).nested.include({ changedTotal: 20_000, removedTotal: 20_000, 'error.issuesTotal': 20_000 });
    expect(JSON.stringify(records[0]).length).lessThan(30_000);

    history.add({ ...record, changed: ['a'], removed: [], error: { ...error, issues: issues.slice(0, 1) } });
    expect(records[1]).deep.equal({ ...record, changed: ['a'], removed: [], error: { ...error, issues: [issues[0]] } });
  });

  describe('of programs that go on and on', () => {
    const scratch = useScratch();
    let state: StateStore;
    let history: History;
    beforeEach(() => {
      state = StateStore.open(scratch().path('state'));
      const onUnsaved = (error: unknown) => expect.fail(String(error));
      history = new History({ state, redaction: new Redaction(), onUnsaved });
    });
    afterEach(() => state.close());
    const record = (more: Partial<ReloadRecord>): ReloadRecord => ({
      at: '',
      outcome: 'unchanged',
      revision: 1,
      epoch: 'e',
      cause: 'client',
      durationMs: 1,
      changed: [],
      removed: [],
      ...more,
    });
    const rejectedBy = (message: string) => [
      { name: 'n', pid: 1, code: 'c', message, paths: Array.from({ length: 60 }, () => 'p'.repeat(940)) },
    ];

    it('counts their reloads without a change in the record before, and lists one of a row of equal rejections', () => {
      history.add(record({ cause: 'start', outcome: 'committed' }));
      for (let i = 0; i < 50; i++) history.add(record({ by: `program-${i}` }));
      const error = { code: 'settings_invalid', message: 'invalid', issues: [] };
      for (let i = 0; i < 50; i++) history.add(record({ outcome: 'rejected', by: `program-${i}`, error }));
      for (let i = 0; i < 2; i++) history.add(record({ outcome: 'rejected', cause: 'operator', by: 'me', error }));
      expect(
        state.records().map(({ cause, repeated, programReloads }) => [cause, repeated, programReloads]),
      ).deep.equal([
        ['operator', undefined, undefined],
        ['operator', undefined, undefined],
        ['client', 49, undefined],
        ['start', undefined, 50],
      ]);
    });

    it('keeps the start and what operators did, however many different things programs cause', () => {
      history.add(record({ cause: 'start', outcome: 'committed' }));
      history.add(record({ cause: 'operator', by: 'me' }));
      for (let i = 0; i < 1_300; i++) {
        history.add(record({ outcome: 'committed', revision: i, by: 'rotates' }));
        const error = { code: 'subscriber_rejected', message: `no ${i}`, issues: [], rejectedBy: rejectedBy(`${i}`) };
        history.add(record({ outcome: 'rejected', cause: 'file', error }));
      }
      const kept = state.records();
      expect(kept).length(202);
      expect(kept.slice(-2).map(({ cause }) => cause)).deep.equal(['operator', 'start']);
    });

    it('is short in what programs said, and read in bounded time', () => {
      const many = Array.from({ length: 30 }, () => rejectedBy('m'.repeat(100_000))[0]!);
      const error = { code: 'subscriber_rejected', message: 'm'.repeat(100_000), issues: [], rejectedBy: many };
      history.add(record({ outcome: 'rejected', cause: 'operator', by: 'me', error }));
      expect(state.records()[0]!.error).include({ rejectedByTotal: 30 });
      expect(JSON.stringify(state.records()).length).lessThan(60_000);
      for (let i = 0; i < 300; i++) history.add(record({ outcome: 'rejected', cause: 'operator', by: `${i}`, error }));
      const read = state.records();
      expect(read[0]).include({ by: '299' });
      expect(JSON.stringify(read).length, 'bytes that are read at once').lessThan(5_000_000);
    });
  });
});
