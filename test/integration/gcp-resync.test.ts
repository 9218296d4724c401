import { expect } from 'chai';
import { durationsOf } from '../../daemon/ops/durations.ts';
import { gcpOptions } from '../../daemon/ops/gcp-options.ts';
import { GcpSource } from '../../daemon/sources/gcp/gcp-source.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { limits } from '../support/limits.ts';
import { until } from '../support/until.ts';
import { useGoogle } from '../support/use-google.ts';

describe('a resync', () => {
  const google = useGoogle();

  it('that does not reach Google for 30 s makes the source stale, and one that does makes it well', async () => {
    google().secret('key', ['one']);
    const clock = new FakeClock();
    const { notifications: _, ...options } = google().options({ secrets: [{ secret: 'key', at: 'key' }] });
    const source = new GcpSource({
      options: gcpOptions(options, 'test', (path) => [path], durationsOf('test')),
      limits,
      clock,
      random: () => 0.5,
      log: () => {},
      instance: () => 'test',
      onWatchHealth: () => {},
      onParsed: () => {},
    });
    let hints = 0;
    const watch = await source.watch(() => hints++);
    const { signal } = new AbortController();
    const request = { fresh: false, acceptGone: false, acceptMissing: false, graceMs: 0, patienceMs: 2_000 };
    const load = () => source.load(request, signal);
    expect((await load()).failure).equal(undefined);
    const end = google().store.faults.add({ status: 'UNAVAILABLE' });
    await clock.advance(600_000);
    const calls = google().store.faults.calls.length;
    await until('it has tried', async () => {
      await clock.advance(100);
      return google().store.faults.calls.length > calls + 3;
    });
    expect(source.problem, 'for a while it only tries').equal(undefined);
    await until('it is told', async () => {
      await clock.advance(1_000);
      return hints > 0;
    });
    expect((await load()).failure).property('code', 'secret_unavailable');
    end();
    hints = 0;
    await until('it recovers', async () => {
      await clock.advance(1_000);
      return hints > 0;
    });
    expect((await load()).failure).equal(undefined);
    expect(source.problem).equal(undefined);
    await watch[Symbol.asyncDispose]();
    await source.close();
  });
});
