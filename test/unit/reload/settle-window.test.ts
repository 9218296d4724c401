import { getEventListeners } from 'node:events';
import { expect } from 'chai';
import type { Burst } from '../../../daemon/model/layer.ts';
import { SettleWindow } from '../../../daemon/reload/settle-window.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';

describe('the settle window', () => {
  let clock: FakeClock;
  let window: SettleWindow;
  let stop: AbortController;
  let bursts: Burst[];
  let done: Promise<void>;
  const hint = (sourceId = 'a') => window.add({ sourceId, reason: 'test' });

  beforeEach(() => {
    clock = new FakeClock();
    window = new SettleWindow({ quietMs: 50, maxWaitMs: 500 }, clock);
    stop = new AbortController();
    bursts = [];
    done = (async () => {
      for await (const burst of window.bursts(stop.signal)) bursts.push(burst);
    })();
  });
  afterEach(async () => {
    stop.abort();
    await done;
    expect(clock.waiting).equal(0);
  });

  it('ends a burst after the quiet time, with every source that was hinted', async () => {
    hint('a');
    await clock.advance(49);
    hint('b');
    await clock.advance(49);
    expect(bursts).length(0);
    await clock.advance(1);
    expect(bursts.map(({ sourceIds }) => [...sourceIds])).deep.equal([['a', 'b']]);
  });

  it('ends a burst after the maximum wait, however steady the hints (law 4)', async () => {
    for (let ms = 0; ms < 1_200; ms += 10) {
      hint();
      await clock.advance(10);
    }
    expect(bursts).length(2);
  });

  it('starts the next burst with what comes while one is worked on (law 3)', async () => {
    hint();
    await clock.advance(50);
    expect(bursts).length(1);
    hint();
    hint();
    await clock.advance(50);
    expect(bursts).length(2);
    await clock.advance(10_000);
    expect(bursts).length(2);
  });

  it('leaves nothing on its signal, however many bursts there were', async () => {
    for (let i = 0; i < 5; i++) {
      hint();
      await clock.advance(50);
    }
    expect(bursts).length(5);
    expect(getEventListeners(stop.signal, 'abort')).length(1);
  });

  it('does not wait at all when the quiet time is nothing', async () => {
    stop.abort();
    await done;
    const now = new SettleWindow({ quietMs: 0, maxWaitMs: 500 }, clock);
    stop = new AbortController();
    const next = now.bursts(stop.signal).next();
    now.add({ sourceId: 'a', reason: 'test' });
    await settle();
    expect((await next).value?.sourceIds).deep.equal(new Set(['a']));
    done = Promise.resolve();
  });
});
