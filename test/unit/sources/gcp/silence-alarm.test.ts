import { expect } from 'chai';
import type { MountedSecret } from '../../../../daemon/sources/gcp/mounted-secret.ts';
import { SilenceAlarm } from '../../../../daemon/sources/gcp/silence-alarm.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

describe('the alarm for notifications that do not come', () => {
  const secret = (version: number, announced = 0) => ({
    name: 'projects/p/secrets/db',
    secret: { id: 'db' },
    version,
    announced,
  });
  const asMounted = (fake: ReturnType<typeof secret>) => fake as unknown as MountedSecret;
  let clock: FakeClock;
  let changes: number;
  let alarm: SilenceAlarm;

  beforeEach(() => {
    clock = new FakeClock();
    changes = 0;
    alarm = new SilenceAlarm({ clock, topic: 'projects/p/topics/t', onChange: () => changes++ });
  });

  it('is raised by a version that no notification names within 30 s, and lowered by the next notification', async () => {
    const mounted = secret(3);
    alarm.compare(new Map([[asMounted(mounted), 2]]));
    await clock.advance(29_999);
    expect(alarm.problem).equal(undefined);
    await clock.advance(1);
    expect(alarm.problem).contain('version 3 of projects/p/secrets/db').contain('--add-topics=projects/p/topics/t');
    alarm.heard(asMounted(mounted));
    expect(alarm.problem).equal(undefined);
    expect(changes).equal(2);
  });

  it('is not raised by one that was announced, comes late, is older, or was the first', async () => {
    const late = secret(3);
    const before = new Map<MountedSecret, number | undefined>([
      [asMounted(secret(3, 3)), 2],
      [asMounted(late), 2],
      [asMounted(secret(1)), 2],
      [asMounted(secret(1)), undefined],
    ]);
    alarm.compare(before);
    late.announced = 3;
    await clock.advance(60_000);
    expect(alarm.problem).equal(undefined);
    expect(changes).equal(0);
  });
});
