import { once } from 'node:events';
import { connect } from '../../client/index.ts';
import { until } from '../support/until.ts';
import { TestDaemon } from '../support/use-daemon.ts';
import { endReceiver, type Sender, startHotconf, startRaw, startReceivers } from './fan-out-servers.ts';
import { ms, now, percentile, type Row, row, times } from './figures.ts';

/** Answers of a thousand programs, what stopped ones cost the others, and what trying a candidate adds. */
export async function measureDelivery(): Promise<Row[]> {
  return [...(await measureLastAck()), ...(await measureStopped()), ...(await measureVerify())];
}

const many = 1_000;
const processes = 2;

/** One key of a 32 KiB snapshot changes; until the last of 1,000 programs has answered. */
async function measureLastAck(): Promise<Row[]> {
  const hotconf: number[] = [];
  const raw: number[] = [];
  for (let turn = 0; turn < 2; turn++) {
    raw.push(...(await answersOf('raw', await startRaw())));
    hotconf.push(...(await answersOf('hotconf', await startHotconf())));
  }
  const ratio = percentile(hotconf, 0.5) / percentile(raw, 0.5);
  return [
    row(`to the last answer of ${many} programs, 32 KiB: p50`, ms(percentile(hotconf, 0.5)), '', true),
    row('... raw length-prefixed sockets, the same patch: p50', ms(percentile(raw, 0.5)), '', true),
    row('... ratio', times(ratio), '1.5 x', ratio <= 1.5),
  ];
}

async function answersOf(kind: 'hotconf' | 'raw', sender: Sender): Promise<number[]> {
  const receivers = await startReceivers(kind, sender.path, many, processes);
  await until('all are connected', () => sender.connected() === many, 20_000);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const samples: number[] = [];
  for (let round = 1; round <= 150; round++) {
    const all = Promise.withResolvers<void>();
    let answers = 0;
    sender.onAnswer = () => ++answers === many && all.resolve();
    const started = now();
    sender.publish(round);
    await all.promise;
    samples.push(now() - started);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await Promise.all(receivers.map(endReceiver));
  await sender.stop();
  return samples.slice(50);
}

/** The p99 of 50 honest programs, with 100 stopped ones beside them and without. */
async function measureStopped(): Promise<Row[]> {
  const sender = await startHotconf();
  const [honest] = await startReceivers('hotconf', sender.path, 50, 1);
  const rounds = async (first: number) => {
    const samples: number[] = [];
    for (let round = first; round < first + 400; round++) {
      const last = once(honest!, 'message');
      const started = now();
      sender.publish(round);
      samples.push(Number((await last)[0]) - started);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return percentile(samples.slice(100), 0.99);
  };
  const alone = await rounds(1);
  const [stopped] = await startReceivers('hotconf', sender.path, 100, 1);
  stopped!.kill('SIGSTOP');
  const beside = await rounds(1_000);
  await Promise.all([honest!, stopped!].map(endReceiver));
  await sender.stop();
  const more = beside - alone;
  return [
    row('to the last of 50 programs: p99', ms(alone), '', true),
    row('... beside 100 stopped ones: p99 more', ms(more), '20 ms', more <= 20),
  ];
}

/** From the write of a file to the program, for one that tries candidates and one that does not. */
async function measureVerify(): Promise<Row[]> {
  const plain = await changesOf({});
  const trying = await changesOf({ verify: () => {} });
  const more = percentile(trying, 0.5) - percentile(plain, 0.5);
  return [
    row('change to program, quiet 0 ms: p50', ms(percentile(plain, 0.5)), '', true),
    row('... more when the program tries it first: p50', ms(more), '2 ms', more <= 2),
  ];
}

async function changesOf(options: { verify?: () => void }): Promise<number[]> {
  const test = new TestDaemon();
  test.options.reload = { quiet: '0ms' };
  await test.start();
  const config = await connect({ socket: test.socket, ...options });
  const samples: number[] = [];
  for (let round = 1; round <= 200; round++) {
    const changed = new Promise<void>((resolve) => {
      const listen = () => {
        config.off('change', listen);
        resolve();
      };
      config.on('change', listen);
    });
    const started = now();
    test.scratch.write('secrets/app.yaml', `database: { url: url-${round} }\n`);
    await changed;
    samples.push(now() - started);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await config.close();
  await test[Symbol.asyncDispose]();
  return samples.slice(50);
}
