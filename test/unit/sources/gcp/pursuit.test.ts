import { expect } from 'chai';
import { DaemonError } from '../../../../daemon/model/errors.ts';
import { type Look, Pursuit } from '../../../../daemon/sources/gcp/pursuit.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

const unavailable = () => new DaemonError('secret_unavailable', 'Google answers UNAVAILABLE');
const forbidden = () => new DaemonError('secret_forbidden', 'not permitted');

describe('a pursuit', () => {
  let clock: FakeClock;
  let looks: Look[];
  /** How each attempt ends: well, by an error, or by what is to be looked at next. */
  let script: (DaemonError | Look | undefined)[];
  const stop = new AbortController();

  beforeEach(() => {
    clock = new FakeClock();
    looks = [];
    script = [];
  });

  const pursue = (random = () => 1) =>
    new Pursuit({
      clock,
      random,
      attempt: async (look) => {
        looks.push(look);
        const end = script.shift();
        if (end instanceof DaemonError) throw end;
        return end;
      },
    });

  it('waits with full jitter up to a bound that doubles from 200 ms to 30 s', async () => {
    const pursuit = pursue(() => 0.5);
    script = Array.from({ length: 12 }, unavailable);
    pursuit.ask('announced');
    const run = pursuit.run(stop.signal);
    const at: number[] = [];
    for (let seen = 1; seen < 12; ) {
      const before = clock.monotonic();
      while (looks.length === seen) await clock.advance(50);
      seen = looks.length;
      at.push(clock.monotonic() - before);
    }
    expect(at).deep.equal([100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 15_000, 15_000, 15_000]);
    await clock.advance(15_000);
    await run;
    expect(pursuit).include({ isDue: false, problem: undefined });
  });

  it('looks as closely as was asked', async () => {
    const pursuit = pursue();
    for (const look of ['announced', 'fresh', 'chosen'] as const) pursuit.ask(look);
    await pursuit.run(stop.signal);
    expect(looks).deep.equal(['fresh']);
  });

  it('leaves what is asked meanwhile for the next run, and goes on at once only where an attempt says so', async () => {
    const pursuit = pursue();
    script = ['chosen'];
    pursuit.ask('announced');
    const run = pursuit.run(stop.signal);
    pursuit.ask('announced');
    await run;
    expect(looks).deep.equal(['announced', 'chosen']);
    expect(pursuit).include({ isDue: true, isRunning: false });
  });

  it('gives up at once what fails for good, and tells it until it has been told', async () => {
    const pursuit = pursue();
    script = [forbidden(), forbidden(), undefined];
    pursuit.ask('chosen');
    await pursuit.run(stop.signal);
    expect(pursuit).include({ isNews: true, isDue: false });
    pursuit.tell();
    expect(pursuit.isNews).equal(false);
    pursuit.ask('chosen');
    await pursuit.run(stop.signal);
    expect(pursuit.isNews, 'the same again is no news').equal(false);
    pursuit.ask('chosen');
    await pursuit.run(stop.signal);
    expect(pursuit).include({ isNews: true, problem: undefined });
  });

  it('says what keeps it from succeeding when it has been waited for long enough', async () => {
    const pursuit = pursue();
    script = [unavailable(), undefined];
    pursuit.ask('chosen');
    const run = pursuit.run(stop.signal);
    await clock.advance(10);
    pursuit.overdue('secret');
    expect(pursuit.problem).include({ code: 'secret_unavailable' });
    await clock.advance(200);
    await run;
    expect(pursuit.problem).equal(undefined);
  });

  it('tries a damaged payload four times', async () => {
    const pursuit = pursue();
    script = Array.from({ length: 9 }, () => new DaemonError('secret_corrupt', 'wrong checksum'));
    pursuit.ask('chosen');
    const run = pursuit.run(stop.signal);
    await clock.advance(60_000);
    await run;
    expect(looks).length(4);
    expect(pursuit.problem).include({ code: 'secret_corrupt' });
  });

  it('ends when it is told to, with what it was after still due', async () => {
    const pursuit = pursue();
    const end = new AbortController();
    script = [unavailable()];
    pursuit.ask('chosen');
    const run = pursuit.run(end.signal);
    await clock.advance(10);
    end.abort();
    await run;
    expect(pursuit.isDue).equal(true);
    expect(clock.waiting).equal(0);
  });
});
