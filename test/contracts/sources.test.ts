import { systemClock } from '../../daemon/ops/clock.ts';
import { durationsOf } from '../../daemon/ops/durations.ts';
import { gcpOptions } from '../../daemon/ops/gcp-options.ts';
import { FileSource } from '../../daemon/sources/file-source.ts';
import { GcpSource } from '../../daemon/sources/gcp/gcp-source.ts';
import { limits } from '../support/limits.ts';
import { Scratch } from '../support/scratch.ts';
import { useGoogle } from '../support/use-google.ts';
import { sourceContract } from './source-contract.ts';

const shared = { limits, clock: systemClock, log: () => {}, onWatchHealth: () => {}, onParsed: () => {} };

describe('a source of files', () =>
  sourceContract(async (value) => {
    const scratch = new Scratch();
    const set = (text: string) => void scratch.write('a.yaml', `value: ${text}\n`);
    set(value);
    const path = scratch.path('a.yaml');
    const root = { name: './a.yaml', path, at: [], isPlain: false, optional: false };
    const timing = { rescanMs: 1_000, lookAgainMs: 50, modeCheck: 'off', naming: {} } as const;
    return {
      source: new FileSource({ ...shared, ...timing, id: 'files:a', kind: 'files', roots: [root] }),
      set,
      spoil: () => void scratch.write('a.yaml', 'value: "torn\n'),
      close: async () => scratch.remove(),
    };
  }));

describe('a source of secrets', () => {
  const google = useGoogle();
  sourceContract(async (value) => {
    const set = (text: string) => void google().add('value', JSON.stringify({ value: text }));
    google().secret('value', []);
    set(value);
    const options = google().options({ secrets: [{ secret: 'value', at: 'a', format: 'json' }] });
    return {
      source: new GcpSource({
        ...shared,
        // At the root, so that its part looks like that of a file.
        options: gcpOptions(options, 'test', () => [], durationsOf('test')),
        instance: () => 'contract',
      }),
      set,
      spoil: () => void google().add('value', '{ "value": torn'),
      close: async () => {},
    };
  });
});
