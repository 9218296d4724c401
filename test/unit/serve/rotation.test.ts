import { expect } from 'chai';
import type { ReloadOutcome, Snapshot } from '../../../daemon/model/snapshot.ts';
import { Rotation } from '../../../daemon/serve/rotation.ts';
import type { MountedSecret } from '../../../daemon/sources/gcp/mounted-secret.ts';

describe('a rotation', () => {
  const mounted = {
    name: 'projects/p/secrets/key',
    secret: { project: 'p', id: 'key' },
    partName: 'projects/p/secrets/key',
    options: { at: ['key'], format: 'text' },
    choice: { kind: 'newest-enabled' },
  } as unknown as MountedSecret;
  const parts = [{ sourceId: 'gcp', kind: 'gcp', name: mounted.partName, version: '9', settings: { key: 'x' } }];

  it('whose programs do not answer is unconfirmed, names them, and stays; the next waits for its end', async () => {
    const order: string[] = [];
    let version = 1;
    const answers = Promise.withResolvers<void>();
    const rotation = new Rotation({
      source: {
        served: () => [mounted],
        note: (what) => order.push(what),
        manager: async () =>
          ({
            add: async () => {
              order.push('add');
              return ++version;
            },
          }) as never,
      },
      reload: async () => ({ kind: 'committed', snapshot: { revision: version } }) as ReloadOutcome,
      answersTo: async (revision) => {
        if (revision === 2) await answers.promise;
        return { rejectedBy: [], unanswered: revision === 2 ? ['slow'] : [] };
      },
      store: { current: { parts } as unknown as Snapshot },
      pins: { pin: undefined },
      log: () => {},
      signal: new AbortController().signal,
    });
    const request = { secret: 'key', value: Buffer.from('x') };
    const [first, second] = [
      rotation.rotate(request, { cause: 'operator' }),
      rotation.rotate(request, { cause: 'operator' }),
    ];
    answers.resolve();
    expect(await first).include({ outcome: 'unconfirmed', version: 2, message: 'not answered yet by slow' });
    expect(await second).include({ outcome: 'rotated', version: 3 });
    expect(order).deep.equal(['add', 'ADD', 'add', 'ADD']);
  });

  it('needs Secret Manager', async () => {
    const rotation = new Rotation({
      source: undefined,
      reload: () => expect.fail('nothing is read'),
      answersTo: () => expect.fail('nobody is asked'),
      store: { current: { parts } as unknown as Snapshot },
      pins: { pin: undefined },
      log: () => {},
      signal: new AbortController().signal,
    });
    const error = await rotation
      .rotate({ secret: 'key', value: Buffer.from('x') }, { cause: 'operator' })
      .catch((thrown) => thrown);
    expect(error).include({ code: 'usage' });
    expect(error.message).contain('sources.gcp');
  });
});
