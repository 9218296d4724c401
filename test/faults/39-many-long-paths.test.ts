import { statSync } from 'node:fs';
import { expect } from 'chai';
import { frameLimits, recordLimits } from '../../daemon/model/cut-paths.ts';
import { RawProgram } from '../support/raw-program.ts';
import { until } from '../support/until.ts';
import { useDaemon } from '../support/use-daemon.ts';

// A small file whose paths are long: together they are over the limit of a frame.
const leaves = 19_000;
const long = 'k'.repeat(1_000);
const content = (value: number) =>
  `extra:\n  ${long}:\n${Array.from({ length: leaves }, (_, i) => `    k${i}: ${value}\n`).join('')}`;

describe('row 39: a change of very many settings with long paths', () => {
  const test = useDaemon();
  const edit = (value: number) => test().scratch.write('secrets/many.yaml', content(value));

  it('reaches the programs that are there and those that come, and costs history, log and audit little', async function () {
    this.timeout(60_000);
    test().options.limits = { keys: 40_000 };
    edit(1);
    await test().start();
    const seen: unknown[] = [];
    const config = await test().connect();
    config.watch(`extra.${long}.k18999` as never, (next: unknown) => void seen.push(next));
    edit(2);
    await until('the program that is there has it', () => seen.length === 1, 20_000);
    const late = await test().connect();
    expect(late.get(`extra.${long}.k0` as never)).equal(2);
    expect(config.snapshot.changed, 'a program compares for itself').length(leaves);

    const raw = new RawProgram(test().socket).hello();
    const { changed, changedTotal, removed } = await raw.next<Record<string, unknown>>('snapshot');
    expect(changedTotal).equal(leaves);
    expect((changed as string[]).length).within(1, frameLimits.bytes / 1_000);
    expect(removed).deep.equal([]);
    raw.socket.destroy();

    const [record] = test().daemon!.reports.history();
    expect(record).include({ changedTotal: leaves });
    expect(JSON.stringify(record).length).lessThan(10_000);
    const line = test().logged('config_reload_completed').at(-1)!;
    expect(line.message).contain(`${leaves} changed`);
    expect(JSON.stringify(line).length).lessThan(recordLimits.bytes + 2_000);
    await test().daemon!.stop();
    expect(statSync(test().scratch.path('state/audit.jsonl')).size).lessThan(3 * recordLimits.bytes);
    expect(statSync(test().scratch.path('state/state.db')).size).lessThan(300_000);
  });
});
