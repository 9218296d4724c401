import { expect } from 'chai';
import { connect } from '../../../client/connect.ts';
import { ClientError } from '../../../client/errors.ts';
import type { Config, ConnectOptions } from '../../../client/types.ts';
import { createFrameCheck } from '../../../daemon/serve/check-frame.ts';
import { encodeFrame, maxInboundFrame } from '../../../schemas/wire.ts';
import { FakeDaemon, type Frame, snapshotOf, welcome } from '../../support/fake-daemon.ts';
import { useScratch } from '../../support/scratch.ts';
import { until } from '../../support/until.ts';

describe('what a program sends', () => {
  const scratch = useScratch();
  const check = createFrameCheck();
  const settings = Object.fromEntries(Array.from({ length: 150 }, (_, i) => [`${i}${'é'.repeat(1_200)}`, i]));
  let daemon: FakeDaemon;
  let config: Config<Record<string, unknown>>;
  const open = async (options: ConnectOptions<Record<string, unknown>> = {}) => {
    config = await connect({ socket: scratch().path('d.sock'), name: 'program', ...options });
    return config;
  };
  beforeEach(async () => {
    daemon = await new FakeDaemon().start(scratch().path('d.sock'));
    daemon.greeting = [
      { type: 'welcome', data: welcome },
      { type: 'snapshot', data: snapshotOf({ a: 1 }, 1) },
    ];
  });
  afterEach(async () => {
    await config?.close();
    await daemon.stop();
  });
  const expectAccepted = ({ type, data }: Frame) => {
    expect(check(type as never, data), type).equal(undefined);
    expect(Buffer.byteLength(encodeFrame(type, data))).at.most(maxInboundFrame);
  };

  it('is cut to what the daemon takes: the code and message of a report, and the reason of a reload', async () => {
    await open();
    config.reportFailure('c'.repeat(100), `${'m'.repeat(1_998)}\u{1f600}${'m'.repeat(100_000)}`);
    config.reportRecovery('c'.repeat(100));
    config.reload({ reason: 'r'.repeat(70_000) }).catch(() => {});
    const report = await daemon.next<{ code: string; message: string }>('report');
    expect(report.message).match(/^m{1998}…$/);
    const recovery = await daemon.next('report', 2);
    expect(recovery).include({ code: report.code, recovered: true });
    await daemon.next('request');
    for (const frame of daemon.frames) expectAccepted(frame);
  });

  it('is cut in a rejection: its message, its paths, and how many of them fit a frame', async () => {
    await open({
      verify: (next) => {
        if (next.a !== 1) throw new Error('é'.repeat(5_000));
      },
    });
    daemon.send('snapshot', snapshotOf(settings, 2));
    const { paths } = await daemon.next<{ paths: string[] }>('nack');
    for (const frame of daemon.frames) expectAccepted(frame);
    expect(paths).length.within(20, 100);
  });

  it('is text where a program without types gives something else', async () => {
    await open();
    config.reportFailure(5 as never, new Error('not text') as never);
    config.reload({ reason: { a: 1 } as never }).catch(() => {});
    await daemon.next('request');
    for (const frame of daemon.frames) expectAccepted(frame);
  });

  it('is refused where it cannot be cut: a name, a secret, its value', async () => {
    const usage = (error: unknown) => expect(error).instanceOf(ClientError).include({ code: 'usage' });
    for (const name of ['n'.repeat(201), 5 as never])
      usage(await connect({ socket: scratch().path('d.sock'), name }).catch((error) => error));
    await open();
    for (const secret of ['', 's'.repeat(401), 's\u0000t', 7 as never])
      usage(await config.rotateSecret(secret, 'value').catch((error) => error));
    for (const value of ['', 'v'.repeat(48 * 1024), undefined as never])
      usage(await config.rotateSecret('secret', value).catch((error) => error));
    expect(daemon.of('request')).length(0);
    config.rotateSecret('"'.repeat(400), 'v'.repeat(47 * 1024)).catch(() => {});
    await daemon.next('request');
    for (const frame of daemon.frames) expectAccepted(frame);
  });

  it('of failures that were reported is bounded however many codes there are', async () => {
    await open();
    for (let i = 0; i < 1_000; i++) config.reportFailure(`code-${i}`, 'failed');
    await daemon.next('report', 1_000);
    daemon.frames.splice(0);
    daemon.cut();
    await daemon.next('hello');
    await daemon.next('report', 1);
    config.reportFailure('last', 'failed');
    await until('the last one comes', () => daemon.of('report').some(({ data }) => data.code === 'last'));
    expect(daemon.of('report').length).at.most(101);
  });
});
