import { expect } from 'chai';
import { Edition } from '../../../daemon/serve/edition.ts';
import { Trials, type Verdict } from '../../../daemon/serve/trials.ts';
import { deepFreeze } from '../../../schemas/json.ts';
import type { Nack } from '../../../schemas/wire.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('the trials of a program', () => {
  let clock: FakeClock;
  let trials: Trials;
  let sent: string[];
  let snapshots: number;
  const candidate = (value: string, revision = 2) => {
    const seen = {
      epoch: 'e',
      revision,
      digest: value,
      committedAt: '',
      cause: 'file',
      changed: [],
      removed: [],
    } as const;
    return new Edition({ ...seen, settings: deepFreeze({ value }) }, 'candidate');
  };
  const answered = async (verdict: Promise<Verdict>, nack?: Nack) => {
    await clock.advance(0);
    trials.answer(sent.at(-1)!, nack);
    return verdict;
  };

  beforeEach(() => {
    clock = new FakeClock();
    [sent, snapshots] = [[], 0];
    trials = new Trials({
      clock,
      verifyMs: 1_000,
      whenFree: async () => {},
      snapshotsSent: () => snapshots,
      send: ({ nonce }) => void sent.push(nonce),
      onVote: () => {},
    });
  });

  it('remember what was said of a content, for those to whom that is not too old', async () => {
    const nack = { nonce: '', revision: 2, code: 'x', paths: [], message: 'no' };
    expect(await answered(trials.verdict(candidate('one'), 0), nack)).deep.equal({ kind: 'rejected', nack });
    expect(await answered(trials.verdict(candidate('two'), 0))).deep.equal({ kind: 'accepted' });
    expect(sent).length(2);
    await clock.advance(59_000);
    const since = clock.monotonic() - 60_000;
    expect(await trials.verdict(candidate('one', 3), since)).deep.equal({ kind: 'rejected', nack });
    expect(await trials.verdict(candidate('two', 3), since)).deep.equal({ kind: 'accepted' });
    expect(sent).length(2);
    const again = trials.verdict(candidate('one', 3), clock.monotonic());
    expect(await answered(again)).deep.equal({ kind: 'accepted' });
    expect(sent).length(3);
    expect(await trials.verdict(candidate('one', 4), since)).deep.equal({ kind: 'accepted' });
    await clock.advance(60_001);
    expect(await answered(trials.verdict(candidate('two', 4), clock.monotonic() - 60_000))).deep.equal({
      kind: 'accepted',
    });
    expect(sent).length(4);
  });

  it('end in silence, however often the program asks for its snapshot again', async () => {
    let verdict: Verdict | undefined;
    void trials.verdict(candidate('one'), 0).then((said) => {
      verdict = said;
    });
    for (let i = 0; i < 10 && !verdict; i++) {
      snapshots++;
      await clock.advance(1_000);
    }
    expect(verdict).deep.equal({ kind: 'silent', why: 'timeout' });
  });
});
