import { expect } from 'chai';
import { checkAlerts } from '../../../daemon/checkup/check-alerts.ts';
import type { Options } from '../../../daemon/ops/options.ts';

describe('what the doctor says of alerts', () => {
  const verdicts = (url?: string) =>
    checkAlerts({ alerts: url ? { webhook: { url, headers: {} } } : {} } as unknown as Options).map((finding) => {
      expect(finding.message).not.contain('/hook');
      return finding.verdict;
    });

  it('is a warning where they go over a network in clear', () => {
    for (const url of ['http://alerts.example/hook', 'http://10.0.0.1:8080/hook', 'http://127.0.0.1.evil.example/hook'])
      expect(verdicts(url), url).deep.equal(['warn']);
    for (const url of ['https://alerts.example/hook', 'http://127.0.0.1:8080/hook', 'http://[::1]/hook'])
      expect(verdicts(url), url).deep.equal(['ok']);
    expect(verdicts()).deep.equal([]);
  });
});
