import { expect } from 'chai';
import fc from 'fast-check';
import { DaemonError } from '../../../../daemon/model/errors.ts';
import { readChosen } from '../../../../daemon/sources/gcp/choose-version.ts';
import type { SecretManager } from '../../../../daemon/sources/gcp/secret-manager.ts';

const secret = { project: 'p', id: 's' };
const { signal } = new AbortController();

/** A secret whose versions are enabled or not, from version 1 on. */
class Versions {
  readonly isEnabled: readonly boolean[];
  readonly mayList: boolean;
  calls = 0;

  constructor(isEnabled: readonly boolean[], mayList: boolean) {
    this.isEnabled = isEnabled;
    this.mayList = mayList;
  }

  manager(): SecretManager {
    const fail = (code: 'secret_disabled' | 'secret_not_found' | 'secret_forbidden') => {
      throw new DaemonError(code, 'no');
    };
    return {
      access: async (_secret: unknown, wanted: number | string) => {
        this.calls++;
        const version = wanted === 'latest' ? this.isEnabled.length : Number(wanted);
        const isEnabled = this.isEnabled[version - 1];
        if (isEnabled === undefined) fail('secret_not_found');
        if (!isEnabled) fail('secret_disabled');
        return { version, project: '1', bytes: Buffer.from(`v${version}`) };
      },
      newestEnabled: async () => {
        this.calls++;
        if (!this.mayList) fail('secret_forbidden');
        const newest = this.isEnabled.lastIndexOf(true) + 1;
        return newest || undefined;
      },
    } as unknown as SecretManager;
  }
}

describe('the newest enabled version', () => {
  const choose = (versions: Versions, known: { current?: number; announced?: number } = {}) => {
    const choice = { kind: 'newest-enabled' } as const;
    return readChosen({ manager: versions.manager(), secret, choice, known, mayList: () => true, signal });
  };

  it('is found whatever is disabled, known, announced or permitted', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }),
        fc.boolean(),
        fc.integer({ min: 0, max: 42 }),
        fc.integer({ min: 0, max: 42 }),
        async (isEnabled, mayList, current, announced) => {
          const newest = isEnabled.lastIndexOf(true) + 1;
          const known = {
            // What is known to be at hand has once been there.
            ...(current > 0 && current <= isEnabled.length && { current }),
            ...(announced > 0 && { announced }),
          };
          const found = await choose(new Versions(isEnabled, mayList), known).catch((error: DaemonError) => error.code);
          if (newest === 0) expect(found).equal('secret_disabled');
          else if (found === 'same') expect(known.current).equal(newest);
          else expect(found).include({ version: newest });
        },
      ),
      { numRuns: 500 },
    );
  });

  it('takes few calls, of a thousand versions too', async () => {
    const all = Array.from({ length: 1_000 }, () => true);
    for (const [isEnabled, mayList, known, calls] of [
      [all, true, {}, 2],
      [all, true, { current: 1_000 }, 1],
      [all, false, {}, 3],
      [all, false, { current: 1_000 }, 3],
      [[...all, false, false], false, { current: 1_000 }, 5],
      [[...all, false], false, {}, 25],
    ] as const) {
      const versions = new Versions(isEnabled, mayList);
      await choose(versions, known);
      expect(versions.calls).at.most(calls);
    }
  });

  it('is missing where there is no version at all', async () => {
    for (const mayList of [true, false])
      expect(await choose(new Versions([], mayList)).catch(({ code }) => code)).equal('secret_disabled');
  });
});
