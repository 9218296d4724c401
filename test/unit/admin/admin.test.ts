import { expect } from 'chai';
import { reportHealth } from '../../../daemon/admin/health-report.ts';
import { LiveFeed } from '../../../daemon/admin/live-feed.ts';
import { adminOptions, alertOptions } from '../../../daemon/ops/admin-options.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('readiness', () => {
  const report = (
    phase: 'starting' | 'serving' | 'stopping',
    troubles: string[] = [],
    current: unknown = { revision: 1, committedAt: '2026-11-24T00:00:00Z' },
  ) =>
    reportHealth({
      store: { current },
      health: { troubles: troubles.map((key) => ({ key })), state: { kind: 'degraded' }, staleness: () => undefined },
      sources: [],
      clock: new FakeClock(),
      phase: () => phase,
    } as never);

  it('is there while programs can connect to a snapshot, degraded or not, and goes when they cannot', () => {
    expect(report('serving', ['watch'])).include({ isReady: true, status: 'degraded' });
    expect(report('serving', ['sockets']).isReady).equal(false);
    expect(report('starting')).include({ isReady: false, status: 'starting' });
    expect(report('serving', [], null)).include({ isReady: false, status: 'starting', revision: 0 });
    expect(report('stopping')).include({ isReady: false, status: 'stopping' });
  });
});

describe('a live feed', () => {
  it('beats each 15 s, however often its readers came and went', async () => {
    const clock = new FakeClock();
    const feed = new LiveFeed({ clock, clean: (value) => value });
    for (let i = 0; i < 5; i++) {
      const reader = feed.open('ops');
      reader.emit('close');
    }
    const reader = feed.open('ops');
    await clock.advance(45_000);
    const text = String(reader.read());
    expect(text.match(/: beat/g)).length(3);
    feed.close();
  });
});

describe('options for operators and alerts', () => {
  const refused = (act: () => unknown) => {
    try {
      return act(), 'taken';
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  const http = (listen: string, names = ['a', 'b']) =>
    refused(() =>
      adminOptions(
        { http: { listen, tokens: names.map((name) => ({ file: name, role: 'admin', name })) } },
        '/',
        'f',
        Number,
      ),
    );
  const webhook = (url: string, headers = {}) => refused(() => alertOptions({ webhook: { url, headers } }, '/', 'f'));

  it('take loopback addresses only, and tokens of different names', () => {
    for (const listen of ['127.0.0.1:8787', 'localhost:1', '[::1]:8787', '127.9.9.9:80'])
      expect(http(listen), listen).equal('taken');
    for (const listen of [
      '0.0.0.0:8787',
      '[::]:8787',
      '10.0.0.1:1',
      'example.com:80',
      '127.0.0.1.evil.example:80',
      '127.0.0.1:99999',
    ])
      expect(http(listen), listen).equal('options_unusable');
    expect(http('127.0.0.1:1', ['a', 'a'])).equal('options_unusable');
  });

  it('take http and https URLs without a password, and headers that are ones', () => {
    expect(webhook('https://alerts.example/hook', { authorization: 'Bearer x' })).equal('taken');
    for (const url of ['ftp://x', 'alerts.example', 'https://a:b@alerts.example', 'https://a@alerts.example'])
      expect(webhook(url), url).equal('options_unusable');
    expect(webhook('https://x', { 'a b': 'c' })).equal('options_unusable');
    expect(webhook('https://x', { a: 'b\nc' })).equal('options_unusable');
  });
});
