import { expect } from 'chai';
import { DaemonError } from '../../../daemon/model/errors.ts';
import { loadOptions } from '../../../daemon/ops/options-file.ts';
import { useScratch } from '../../support/scratch.ts';

describe('an options file', () => {
  const scratch = useScratch();
  const refusal = (text: string): unknown => {
    try {
      return loadOptions(scratch().write('hotconf.yaml', text), {});
    } catch (error) {
      return error;
    }
  };

  it('with an alias to no anchor, or with aliases of aliases, is refused in words that do not quote it', () => {
    const bomb = Array.from({ length: 9 }, (_, i) => `  x${i}: &x${i} [${`*x${i - 1}, `.repeat(9)}]`);
    for (const text of [
      'schema: ./a.json\nsources: { defaults: */secrets }\n',
      `schema: ./a.json\nsources:\n  x: &x-1 [1]\n${bomb.join('\n')}\n`.replaceAll('x-1', 'y').replace('*x-1', '*y'),
    ]) {
      const error = refusal(text);
      expect(error).instanceOf(DaemonError).property('code').equal('options_malformed');
      expect((error as Error).message)
        .contain('an alias names an anchor that is not there, or aliases stand for too much')
        .not.contain('/secrets');
    }
  });

  it('that is nested too deeply for the parser is refused', () => {
    const error = refusal(`files:\n    - { path: ./s, format: ${'tt: '.repeat(22_000)} }\n`);
    expect(error).instanceOf(DaemonError).property('code').equal('options_malformed');
  });
});
