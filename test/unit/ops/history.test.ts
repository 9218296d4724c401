import { expect } from 'chai';
import type { ReloadRecord } from '../../../daemon/model/snapshot.ts';
import { History } from '../../../daemon/ops/history.ts';
import { Redaction } from '../../../daemon/ops/redaction.ts';

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
});
